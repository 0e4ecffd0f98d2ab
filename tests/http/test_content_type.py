"""The content type of a body: JSON, which no page may send without asking."""

import pytest

from tests.http.scripted import COMPLETIONS, ScriptedService, called, check_error, scripted_app

BODY = b'{"model": "m", "prompt": "a"}'
TOKENIZE = "/dedicated/v1/tokenize"


def status_of(*types: str) -> int:
    app = scripted_app(ScriptedService())
    return called(app, "POST", TOKENIZE, *(("content-type", t) for t in types), body=[BODY]).status


@pytest.mark.parametrize(
    "sent",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json;",
        "application/vnd.friendli.chat+json",
        "application/problem+json; charset=utf-8",
    ],
)
def test_json_is_accepted(sent: str) -> None:
    assert status_of(sent) == 200


REJECTED = [
    "application/x-www-form-urlencoded",
    "text/plain",
    "text/plain; application/json",
    "multipart/form-data; boundary=application/json",
    "text/plain;charset=application/json",
    "text/json",
    "application/jsonp",
    "application/json, text/plain",
    "application/json; charset=latin-1",
    "application/+json",
    "",
]
"""What a browser sends without asking, what looks like JSON, and what JSON cannot be."""


@pytest.mark.parametrize("sent", REJECTED)
@pytest.mark.parametrize("path", [COMPLETIONS, TOKENIZE, "/dedicated/v1/adapters"])
def test_another_content_type_gets_415(sent: str, path: str) -> None:
    service = ScriptedService()
    app = scripted_app(service, open_admin=True)
    call = called(app, "POST", path, ("content-type", sent), body=[BODY])
    error = check_error(call, 415, "content-type")
    assert error["code"] == "wrong_content_type"
    assert "application/json" in error["message"]
    assert error["message"].endswith(f"got {sent or 'no such header'}")
    assert (service.prepared, service.named, service.loaded_adapters) == ([], [], {})


def test_two_content_types_get_415() -> None:
    assert status_of("application/json", "application/json") == 415
