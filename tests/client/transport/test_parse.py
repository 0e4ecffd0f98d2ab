"""Answers parsed into types of the program."""

from __future__ import annotations

import dataclasses

import pydantic
import pytest

import friendli
from friendli import models

from ..conftest import Caller
from ..wire import Serve, completion, json_answer, stream_answer, words


class Weather(pydantic.BaseModel):
    city: str
    degrees: float


@dataclasses.dataclass
class Point:
    x: int


class TestParsed:
    def test_answer_is_parsed_into_a_model(self, serve: Serve, caller: Caller) -> None:
        server = serve(json_answer(completion('{"city": "Seoul", "degrees": 21}', novel=1)))
        result = caller.call(server.url, response_format=Weather)
        assert result.parsed == Weather(city="Seoul", degrees=21)
        assert isinstance(result, models.ContainerChatCompleteSuccess)
        assert result.model_dump() == completion('{"city": "Seoul", "degrees": 21}', novel=1)
        sent = server.requests[0].json["response_format"]
        assert sent["type"] == "json_schema"
        assert sent["json_schema"]["schema"] == Weather.model_json_schema()

    def test_answer_is_parsed_into_a_dataclass(self, serve: Serve, caller: Caller) -> None:
        server = serve(json_answer(completion('{"x": 3}')))
        assert caller.call(server.url, response_format=Point).parsed == Point(3)

    def test_final_completion_of_a_stream_is_parsed(self, serve: Serve, caller: Caller) -> None:
        server = serve(stream_answer(words('{"x"', ": 3}")))
        outcome = caller.events(server.url, response_format=Point)
        assert outcome.final.parsed == Point(3)

    def test_truncated_answer_raises_answer_not_parsed_error(
        self, serve: Serve, caller: Caller
    ) -> None:
        raw = completion('{"x"')
        raw["choices"][0]["finish_reason"] = "length"
        server = serve(json_answer(raw))
        with pytest.raises(friendli.AnswerNotParsedError, match="max_tokens") as caught:
            caller.call(server.url, response_format=Point)
        assert caught.value.completion.choices[0].message.content == '{"x"'
