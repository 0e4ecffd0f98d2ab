"""Requests that run together get the bytes that each gets alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .live import ANSWER_SECONDS, Answer, Live

LONG = "The quick brown fox jumps over the lazy dog, and then it sleeps. " * 38

STREAMS: list[dict[str, Any]] = [
    {"seed": 1, "max_tokens": 40, "min_tokens": 40, "temperature": 1.2},
    {"seed": 3, "max_tokens": 30, "n": 2, "logprobs": True, "top_logprobs": 2},
]
WHOLE: list[dict[str, Any]] = [
    {"temperature": 0, "max_tokens": 24, "seed": 0},
    {"seed": 5, "max_tokens": 20, "n": 2, "top_p": 0.9, "stop": ["the", "."]},
    {"seed": 6, "max_tokens": 12, "frequency_penalty": 1, "repetition_penalty": 1.2},
]
LATE: dict[str, Any] = {
    "messages": [{"role": "user", "content": LONG}],
    "seed": 2,
    "max_tokens": 8,
    "logprobs": True,
}
USAGE = {"include_usage": True}


def test_six_together_with_a_long_prompt_in_the_middle(live: Live) -> None:
    alone = [live.answer(**each) for each in (*STREAMS, *WHOLE, LATE)]
    assert alone[-1].usage is not None
    assert alone[-1].usage["prompt_tokens"] > 550
    begun = threading.Event()
    ended = threading.Event()
    in_the_middle = []

    def stream(fields: dict[str, Any]) -> Answer:
        streamed = live.stream(begun.set, stream_options=USAGE, **fields)
        ended.set()
        return streamed.answer()

    def late() -> Answer:
        assert begun.wait(ANSWER_SECONDS)
        in_the_middle.append(not ended.is_set())
        return live.answer(**LATE)

    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(stream, fields) for fields in STREAMS]
        asked += [pool.submit(lambda fields=fields: live.answer(**fields)) for fields in WHOLE]
        asked.append(pool.submit(late))
        together = [each.result(ANSWER_SECONDS * 2) for each in asked]
    assert in_the_middle == [True]
    assert together == alone
