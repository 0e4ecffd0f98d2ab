"""Sends thousands of mutated and random bodies to a real endpoint."""

import time
from collections import Counter
from typing import Any

import httpx2
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from tests.contract.conftest import PATH
from tests.contract.live import JSON_TYPE
from tests.contract.served import served
from tests.fuzz.endpoint import fuzzing
from tests.fuzz.requests import mutated_bodies

__all__ = ["inputs"]

TIMEOUT_SECONDS = 30.0
"""Timeout of a request; an answer that takes longer counts as hung."""


def inputs(cases: int, *flags: str) -> dict[str, Any]:
    """Sends mutated requests and random bytes, one after the other.

    Args:
        cases: Number of bodies of each kind.
        flags: Further flags of `serve`.
    """
    statuses: Counter[int] = Counter()
    slowest = 0.0
    with (
        served("--context", "1024", "--max-body", "1048576", *flags) as endpoint,
        httpx2.Client(
            base_url=endpoint.address, timeout=TIMEOUT_SECONDS, trust_env=False
        ) as client,
    ):

        def send(body: bytes) -> None:
            nonlocal slowest
            begun = time.monotonic()
            statuses[client.post(PATH, content=body, headers=JSON_TYPE).status_code] += 1
            slowest = max(slowest, time.monotonic() - begun)

        for kind in (mutated_bodies(), st.binary(max_size=2000)):
            trying = settings(fuzzing(cases), phases=[Phase.generate])
            seed(cases)(trying(given(kind)(send)))()
        good = {"model": "m", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
        after = client.post(PATH, json=good).status_code
    return {
        "requests": statuses.total(),
        "4xx": sum(number for status, number in statuses.items() if 400 <= status < 500),
        "2xx": sum(number for status, number in statuses.items() if status < 300),
        "5xx": sum(number for status, number in statuses.items() if status >= 500),
        "slowest, seconds": round(slowest, 2),
        "status of a valid request afterwards": after,
    }
