from __future__ import annotations

import gzip
import json
import pickle
import sys

import httpx2
import pydantic
import pytest

import friendli
from friendli import SyncFriendli, _errors, models

from .conftest import Caller, Sync
from .wire import (
    DONE,
    ERROR,
    MESSAGES,
    SECRET,
    A,
    Serve,
    answer,
    completion,
    event,
    json_answer,
    stream_answer,
)


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "SDKError"),
        (413, "RequestTooLargeError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
        (503, "ServerError"),
        (599, "ServerError"),
    ],
)
@pytest.mark.parametrize("method", ["complete", "stream"])
def test_status_codes_map_to_error_classes(
    serve: Serve, caller: Caller, method: str, status: int, kind: str
) -> None:
    server = serve(json_answer(ERROR, status, x_request_id="r-7"))
    with pytest.raises(models.SDKError) as caught:
        caller.call(server.url, method, retries=None)
    error = caught.value
    assert type(error) is getattr(friendli, kind)
    assert (error.status_code, error.request_id) == (status, "r-7")
    assert (error.code, error.param, error.error) == ("nope", "model", ERROR["error"])
    assert error.headers["Content-Type"] == "application/json"
    assert error.raw_response.status_code == status
    first, second = str(error).split("\n")
    assert first == f"API error occurred: Status {status}. Body: {error.body}"
    assert second.startswith(f"POST {server.url}/dedicated/v1/chat/completions (request id r-7)")
    assert error.message == str(error)


@pytest.mark.parametrize(
    "reply, text",
    [
        (answer(b"<html>", content_type="text/html"), "Content-Type text/html. Body: <html>"),
        (answer(b"", content_type=None), 'Content-Type "". Body: '),
        (answer(b"", 204), "Status 204. Body: "),
        (answer(b"{}", content_type="a/b; c=d"), 'Content-Type "a/b; c=d"'),
    ],
)
def test_responses_of_the_wrong_kind_raise_unexpected_response_error(
    serve: Serve, caller: Caller, reply: bytes, text: str
) -> None:
    with pytest.raises(friendli.UnexpectedResponseError) as caught:
        caller.call(serve(reply).url)
    assert str(caught.value).startswith("Unexpected response received: Status 20")
    assert text in str(caught.value)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"id": 1}', b"\xff"])
def test_invalid_bodies_raise_response_validation_error(
    serve: Serve, caller: Caller, body: bytes
) -> None:
    with pytest.raises(
        models.ResponseValidationError, match="Response validation failed"
    ) as caught:
        caller.call(serve(answer(body)).url)
    assert caught.value.cause is caught.value.__cause__ is not None
    assert caught.value.body == body.decode(errors="replace")


def test_content_type_ignores_case_and_parameters(serve: Serve, caller: Caller) -> None:

    from .wire import completion

    body = json.dumps(completion()).encode()
    caller.call(serve(answer(body, content_type="Application/JSON; charset=utf-8")).url)


def test_long_bodies_are_truncated_in_messages(serve: Serve) -> None:
    with pytest.raises(models.SDKError) as caught:
        Sync().call(serve(answer(b"x" * 10_005, 400)).url)
    assert "x...and 5 more chars" in str(caught.value)
    assert len(caught.value.body) == 10_005


def test_base_classes_of_the_published_client() -> None:
    assert issubclass(models.SDKError, models.FriendliCoreError)
    assert issubclass(models.ResponseValidationError, models.FriendliCoreError)
    assert issubclass(models.HTTPValidationError, models.FriendliCoreError)
    assert not issubclass(models.NoResponseError, models.FriendliCoreError)


def test_docstring_tree_lists_every_error() -> None:
    tree = _errors.__doc__ or ""
    for name in friendli.__all__:
        cls = getattr(friendli, name)
        if isinstance(cls, type) and issubclass(cls, Exception):
            assert f" {name} " in tree.replace("\n", " \n"), name
            assert issubclass(cls, friendli.FriendliError)


def test_errors_pickle_without_the_request(serve: Serve) -> None:
    server = serve(json_answer(ERROR, 404, x_request_id="r"))
    with (
        SyncFriendli(SECRET, server_url=server.url) as client,
        pytest.raises(friendli.NotFoundError) as caught,
    ):
        client.dedicated.chat.complete(model="e", messages=MESSAGES)
    pickled = pickle.dumps(caught.value)
    assert SECRET.encode() not in pickled
    again = pickle.loads(pickled)
    assert type(again) is friendli.NotFoundError
    assert (str(again), again.status_code, again.error) == (
        str(caught.value),
        404,
        ERROR["error"],
    )
    assert again.headers["X-Request-Id"] == again.request_id == "r"
    server = serve(answer(b"{"))
    with pytest.raises(friendli.ResponseValidationError) as broken:
        Sync().call(server.url)
    assert str(pickle.loads(pickle.dumps(broken.value))) == str(broken.value)


@pytest.mark.parametrize("depth", [201, 100_000])
class TestDeepJson:
    """JSON that is nested too deeply is a FriendliError, wherever the client parses it."""

    def test_error_body(self, serve: Serve, caller: Caller, depth: int) -> None:
        body = b'{"error": {"message": ' + b"[" * depth + b"]" * depth + b"}}"
        with pytest.raises(friendli.BadRequestError) as caught:
            caller.call(serve(answer(body, 400)).url)
        assert caught.value.error is None
        assert caught.value.body == body.decode()

    def test_whole_answer(self, serve: Serve, caller: Caller, depth: int) -> None:
        body = b'{"id": "x", "choices": [], "x": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
        with pytest.raises(friendli.ResponseValidationError, match="recursion limit"):
            caller.call(serve(answer(body)).url)

    def test_formatted_answer(self, serve: Serve, caller: Caller, depth: int) -> None:
        class Tree(pydantic.BaseModel):
            children: list[Tree] = []

        text = '{"children":[' * depth + "]}" * depth
        server = serve(json_answer(completion(text)))
        with pytest.raises(friendli.AnswerNotParsedError, match="recursion limit"):
            caller.call(server.url, response_format=Tree)


CHARSETS = {
    "iso-8859-1": "é",
    '"UTF-8"': "\ufffd",
    "unknown": "\ufffd",
    "zlib": "\ufffd",
    "base64": "\ufffd",
    "idna": "\ufffd",
    "punycode": "\ufffd",
    "undefined": "\ufffd",
}


@pytest.mark.parametrize("charset, text", CHARSETS.items(), ids=CHARSETS.keys())
def test_charset_of_an_error_body_is_a_common_one_or_utf8(
    serve: Serve, caller: Caller, charset: str, text: str
) -> None:
    reply = answer(b"\xe9", 400, f"text/plain; charset={charset}")
    with pytest.raises(friendli.BadRequestError) as caught:
        caller.call(serve(reply).url)
    assert caught.value.body == text


def test_invalid_items_of_an_answer_are_reported_once(serve: Serve, caller: Caller) -> None:
    choices = b",".join([b"0"] * 100_000)
    reply = answer(b'{"id": "x", "created": 1, "choices": [' + choices + b"]}")
    with pytest.raises(friendli.ResponseValidationError) as caught:
        caller.call(serve(reply).url)
    assert len(str(caught.value)) < 20_000


@pytest.mark.parametrize("headers", [{}, {"x_request_id": "r"}])
def test_a_request_id_is_asked_for_where_there_is_one(
    serve: Serve, caller: Caller, headers: dict[str, str]
) -> None:
    server = serve(json_answer({"error": {"message": "m"}}, 500, **headers))
    with pytest.raises(friendli.ServerError) as caught:
        caller.call(server.url, retries=None)
    assert ("request id" in str(caught.value)) is bool(headers)


@pytest.mark.parametrize("coding", ["x-unknown", "gzip, x-unknown", "X-UNKNOWN"])
@pytest.mark.parametrize("method", ["complete", "stream"])
def test_content_coding_that_cannot_be_decoded_is_an_error(
    serve: Serve, caller: Caller, coding: str, method: str
) -> None:
    kind = "text/event-stream" if method == "stream" else "application/json"
    body = gzip.compress(b"data: [DONE]\n\n")
    server = serve(answer(body, content_type=kind, content_encoding=coding))
    with pytest.raises(
        friendli.UnexpectedResponseError, match="content coding 'x-unknown' was not asked for"
    ):
        caller.call(server.url, method)


@pytest.mark.parametrize("coding", ["identity", "gzip", "GZIP", "", "gzip, identity"])
def test_content_codings_that_were_asked_for_are_decoded(
    serve: Serve, caller: Caller, coding: str
) -> None:
    body = json_answer(completion()).partition(b"\r\n\r\n")[2]
    if "gzip" in coding.lower():
        body = gzip.compress(body)
    server = serve(answer(body, content_type="application/json", content_encoding=coding))
    assert caller.call(server.url).model_dump() == completion()


class TestRawResponse:
    def test_it_is_one_of_httpx_for_a_program_that_has_imported_httpx(
        self, serve: Serve, caller: Caller
    ) -> None:
        import httpx

        body = gzip.compress(b'{"error": {"message": "m"}}')
        server = serve(answer(body, 418, content_encoding="gzip", x_request_id="r"))
        with pytest.raises(friendli.SDKError) as caught:
            caller.call(server.url)
        response = caught.value.raw_response
        assert isinstance(response, httpx.Response)
        assert (response.status_code, response.headers["x-request-id"]) == (418, "r")
        assert response.json() == {"error": {"message": "m"}} and response.is_closed
        assert (response.request.method, response.request.url.path) == (
            "POST",
            "/dedicated/v1/chat/completions",
        )
        assert json.loads(response.request.content)["model"] == "e"
        assert response.elapsed.total_seconds() >= 0
        assert response is caught.value.raw_response

    def test_the_request_of_a_hook_may_have_a_body_that_cannot_be_read(self) -> None:
        request = httpx2.Request("POST", "http://host", content=iter([b"a"]))
        response = httpx2.Response(400, request=request, text="b")
        converted = models.SDKError("m", response).raw_response.request
        assert (converted.method, converted.url.host) == ("POST", "host")

    def test_of_an_error_in_a_stream_too(self, serve: Serve, caller: Caller) -> None:
        import httpx

        server = serve(stream_answer([A, event({"error": {"message": "m"}}), DONE]))
        error = caller.events(server.url).error
        assert isinstance(error, friendli.StreamError)
        response = error.raw_response
        assert isinstance(response, httpx.Response) and response.is_closed
        assert response.headers["content-type"].startswith("text/event-stream")
        with pytest.raises(httpx.ResponseNotRead):  # as of any stream
            assert response.content

    def test_it_is_one_of_httpx2_otherwise(
        self, serve: Serve, caller: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "httpx", raising=False)
        with pytest.raises(friendli.SDKError) as caught:
            caller.call(serve(answer(b"", 418)).url)
        assert isinstance(caught.value.raw_response, httpx2.Response)
        assert pickle.loads(pickle.dumps(caught.value)).raw_response is None
