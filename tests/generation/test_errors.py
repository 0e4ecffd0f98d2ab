"""Attributes and defaults of the errors."""

import pytest

from friendli_endpoint.generation import EngineError, RequestError, unknown_adapter


def test_a_request_error_is_a_bad_request_by_default() -> None:
    error = RequestError("n must be at least 1")
    assert str(error) == error.message == "n must be at least 1"
    assert (error.status, error.param, error.code, error.retry_after) == (400, None, None, None)


def test_an_engine_error_is_retryable_by_default() -> None:
    error = EngineError("the engine stopped")
    assert str(error) == error.message == "the engine stopped"
    assert error.retryable and not EngineError("it is lost", retryable=False).retryable


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ((), "there is no adapter 'x'; no adapters are loaded"),
        (("b",), "there is no adapter 'x'; available: b"),
        (("b", "a", "c"), "there is no adapter 'x'; available: a, b, c"),
    ],
)
def test_the_error_for_an_unknown_adapter_names_the_loaded_ones(
    routes: tuple[str, ...], message: str
) -> None:
    error = unknown_adapter("x", routes)
    assert error.message == message
    assert (error.status, error.param, error.code) == (404, "model", "adapter_not_found")
