"""Errors carry a sentence for the client, and what else a program reads of them."""

import pytest

from friendli_endpoint.generation import EngineError, RequestError, unknown_adapter


def test_a_refusal_is_of_the_request_where_nothing_else_is_said() -> None:
    refusal = RequestError("n must be at least 1")
    assert str(refusal) == refusal.message == "n must be at least 1"
    assert (refusal.status, refusal.param, refusal.code, refusal.retry_after) == (
        400,
        None,
        None,
        None,
    )


def test_a_failure_may_be_tried_again_where_nothing_else_is_said() -> None:
    failure = EngineError("the engine stopped")
    assert str(failure) == failure.message == "the engine stopped"
    assert failure.retryable and not EngineError("it is lost", retryable=False).retryable


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ((), "there is no adapter 'x'; there are none"),
        (("b",), "there is no adapter 'x'; there are: b"),
        (("b", "a", "c"), "there is no adapter 'x'; there are: a, b, c"),
    ],
)
def test_an_unknown_adapter_is_refused_with_those_there_are(
    routes: tuple[str, ...], message: str
) -> None:
    refusal = unknown_adapter("x", routes)
    assert refusal.message == message
    assert (refusal.status, refusal.param, refusal.code) == (404, "model", "adapter_not_found")
