"""JSON errors: their type by status, their fields and their maximum length."""

import json

import pytest

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.errors import error_body, request_error_response


def test_message_and_param_of_an_error_are_truncated() -> None:
    error = error_body(400, "x" * 10**6, "y" * 10**6, "code")["error"]
    assert len(json.dumps(error)) < 1_500
    assert error["message"].startswith("xxx")
    short = error_body(400, "x" * 1000, None, "code")["error"]
    assert (short["message"], short["param"]) == ("x" * 1000, None)


def test_a_truncated_error_ends_with_an_ellipsis() -> None:
    error = error_body(400, "x" * 1001, "y" * 201)["error"]
    assert error["message"] == "x" * 1000 + "\N{HORIZONTAL ELLIPSIS}"
    assert error["param"] == "y" * 200 + "\N{HORIZONTAL ELLIPSIS}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (404, "not_found_error"),
        (408, "timeout_error"),
        (418, "invalid_request_error"),
        (429, "rate_limit_error"),
        (499, "invalid_request_error"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_the_type_of_an_error_follows_from_its_status(status: int, kind: str) -> None:
    assert error_body(status, "why")["error"]["type"] == kind


def test_a_request_error_response_has_all_fields() -> None:
    error = RequestError("retry later", param="n", status=429, code="queue_full", retry_after=0)
    response = request_error_response(error)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "0"
    assert json.loads(bytes(response.body)) == {
        "error": {
            "message": "retry later",
            "type": "rate_limit_error",
            "param": "n",
            "code": "queue_full",
        }
    }


def test_retry_after_is_omitted_by_default() -> None:
    response = request_error_response(RequestError("no such field", param="n"))
    assert response.status_code == 400
    assert "retry-after" not in response.headers
