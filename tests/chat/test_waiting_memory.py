"""Memory of prepared requests that wait for the engine: proportional to their bodies."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from friendli_endpoint.chat.conversation import ChatDefaults
from friendli_endpoint.engine.core.admission import resident_memory
from tests.support.chat import body_of, chat_model
from tests.support.scripted import ScriptedVocabulary

TEMPLATE = (
    "{% if tools %}{{ tools | length }}{% endif %}"
    "{% for m in messages %}{{ m.content }}{% endfor %}"
)
MAX_BYTES = 4 << 20
BYTES_PER_BYTE = 50
NUM_REQUESTS = 8


def words(number: int, size: int) -> str:
    """A text of so many characters that differs for each number and hardly repeats itself."""
    return "".join(
        chr(97 + (number * 7 + place * place + place // 26) % 26) for place in range(size)
    )


def schema(value: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": value}}}


ATTACKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "many choices": lambda number: {"n": 128, "seed": number},
    "a stream of many choices": lambda number: {"n": 128, "stream": True, "seed": number},
    "a long text is excluded": lambda number: {
        "n": 128,
        **schema({"not": {"enum": [chr(97 + number) * 1500]}}),
    },
    "many texts are excluded": lambda number: schema(
        {"not": {"enum": [words(number * 200 + index, 10) for index in range(199)]}}
    ),
    "a long constant": lambda number: schema({"enum": [words(number, 8190)]}),
    "many constants": lambda number: schema(
        {"enum": [words(number * 500 + index, 100) for index in range(500)]}
    ),
    "many properties": lambda number: schema(
        {"type": "object", "properties": {f"p{number} {index}": {} for index in range(500)}}
    ),
    "a repeated pattern": lambda number: schema(
        {"type": "string", "pattern": f"^(?:ab{number}){{2000}}$"}
    ),
    "a long prefix": lambda number: {
        **schema({"type": "string"}),
        "messages": [{"role": "assistant", "content": f'"{words(number, 50_000)}', "prefix": True}],
    },
    "stop strings": lambda number: {
        "stop": [
            "".join(chr(0x1F600 + (place * (number + index + 1)) % 61) for place in range(1, 1025))
            for index in range(64)
        ]
    },
    "EOS ids": lambda number: {"n": 128, "eos_token": list(range(number, 250))},
    "biases": lambda number: {
        "n": 128,
        "logit_bias": {str(token): 1 + number for token in range(250)},
    },
    "tools": lambda number: {
        "n": 128,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": f"f{index}",
                    "parameters": {
                        "type": "object",
                        "properties": {f"p{number}": {"type": "string"}},
                    },
                },
            }
            for index in range(20)
        ],
    },
}


def measured() -> Iterator[tuple[str, int, int]]:
    """Yields the name of each attack, the bytes of a body, and the bytes that a request takes."""
    vocabulary = ScriptedVocabulary(context=1 << 16)
    model = chat_model(vocabulary, TEMPLATE, ChatDefaults(tool_family="hermes"))
    kept = []
    for name, fields in ATTACKS.items():
        bodies = [fields(number) for number in range(NUM_REQUESTS + 1)]
        kept.append(
            model.respond(model.prepare(body_of(**bodies.pop())))
        )  # the others share what it makes
        before = resident_memory()
        for body in bodies:
            kept.append(model.respond(model.prepare(body_of(**body))))
            if not body.get("stream"):
                kept[-1].opening()
        taken = resident_memory() - before
        size = len(json.dumps(bodies[0], ensure_ascii=False).encode())
        yield name, size, taken // len(bodies)


@pytest.mark.load
def test_a_waiting_request_takes_memory_in_proportion_to_its_body() -> None:
    assert resident_memory(), "the memory of a process is unknown here"
    ended = subprocess.run(
        [sys.executable, "-c", f"import {__name__} as t, json; print(json.dumps([*t.measured()]))"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    results = json.loads(ended.stdout)
    assert [name for name, _, _ in results] == list(ATTACKS)
    for name, size, taken in results:
        assert taken <= MAX_BYTES + BYTES_PER_BYTE * size, name
