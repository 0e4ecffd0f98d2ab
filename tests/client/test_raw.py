from __future__ import annotations

from friendli import SyncFriendli

from .wire import MESSAGES, Serve, completion, json_answer, stream_answer, words


def test_raw_response_has_status_headers_and_the_parsed_answer(serve: Serve) -> None:
    server = serve(json_answer(completion(), x_request_id="r"), stream_answer(words("a", "b")))
    with SyncFriendli("t", server_url=server.url) as client:
        chat = client.dedicated.chat.with_raw_response
        raw = chat.complete(model="e", messages=MESSAGES)
        assert (raw.status_code, raw.request_id, raw.headers["Content-Type"]) == (
            200,
            "r",
            "application/json",
        )
        assert raw.parse() is raw.parse()
        assert raw.parse().model_dump() == completion()
        with chat.stream(model="e", messages=MESSAGES).parse() as stream:
            assert list(stream.text_deltas) == ["a", "b"]
