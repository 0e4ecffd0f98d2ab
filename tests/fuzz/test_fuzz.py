"""Fuzzing: every answer comes in time, is never a 5xx, and errors have the common format."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.http.routes.chat import COMPLETIONS
from tests.http.scripted import ScriptedService, scripted_app

from .endpoint import CASES, CASES_OF_DOCUMENT, Endpoint, endpoint, fuzzing
from .requests import GOOD, mutated_bodies


@pytest.fixture(scope="module")
def served() -> Iterator[Endpoint]:
    with endpoint() as running:
        yield running
        running.ask("POST", COMPLETIONS, json.dumps(GOOD[0]).encode())


@pytest.mark.parametrize("body", GOOD, ids=lambda body: "-".join(list(body)[3:]) or "plain")
def test_unmutated_requests_are_accepted(served: Endpoint, body: dict[str, Any]) -> None:
    call = served.ask("POST", COMPLETIONS, json.dumps(body).encode())
    assert call.status == 200, call.body


@fuzzing(CASES)
@given(mutated_bodies())
def test_mutated_requests_are_answered(served: Endpoint, body: bytes) -> None:
    served.ask("POST", COMPLETIONS, body)


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["x-request-id", "x-friendli-team", "x-request-timeout", "authorization", "origin"]
        )
        | st.from_regex("[a-z-]{1,20}", fullmatch=True),
        st.text(st.characters(max_codepoint=255), max_size=300),
    ),
    max_size=4,
).map(tuple)


@fuzzing(CASES)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "X"]), st.text(), HEADERS
)
def test_any_path_and_headers_are_answered(
    served: Endpoint, method: str, path: str, headers: Any
) -> None:
    call = served.ask(method, f"/{path}", json.dumps(GOOD[0]).encode(), headers)
    assert all("\n" not in value and "\r" not in value for _, value in call.headers)


DOCUMENT = scripted_app(ScriptedService()).openapi()
POSTED = [path for path, operations in DOCUMENT["paths"].items() if "post" in operations]


@pytest.mark.load
@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("path", POSTED)
def test_requests_generated_from_the_openapi_document_are_answered(
    served: Endpoint, path: str, mode: str
) -> None:
    import schemathesis  # takes a second, which every run of any test would wait for

    operation = schemathesis.openapi.from_dict(DOCUMENT)[path]["POST"]

    @fuzzing(CASES_OF_DOCUMENT)
    @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def send(case: Any) -> None:
        served.ask("POST", path, json.dumps(case.body, default=repr).encode())

    send()
