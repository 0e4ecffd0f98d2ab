from __future__ import annotations

import copy
import json
import pickle
from typing import Any, get_type_hints

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli import models
from friendli.models import (
    ContainerChatCompleteSuccess,
    DedicatedChatCompletionBody,
    StreamedChatData,
)
from friendli.types import UNSET, BaseModel

from .wire import chunk, completion

BODY = {"model": "e", "messages": [{"role": "user", "content": "Hi"}]}


def strict(**changes: Any) -> DedicatedChatCompletionBody:
    """Validate as the endpoint does."""
    text = json.dumps({**BODY, **changes})
    return DedicatedChatCompletionBody.model_validate_json(text, strict=True)


def validation_errors(**changes: Any) -> list[tuple[str, tuple[Any, ...]]]:
    with pytest.raises(pydantic.ValidationError) as caught:
        strict(**changes)
    return [(error["type"], error["loc"]) for error in caught.value.errors()]


class TestThreeStates:
    def test_absent_null_and_value_are_distinct(self) -> None:
        absent = models.ChatChoiceMessage.model_validate({"role": "assistant"})
        null = models.ChatChoiceMessage.model_validate({"role": "assistant", "content": None})
        value = models.ChatChoiceMessage(role="assistant", content="x", tool_calls=UNSET)
        assert (absent.content, null.content, value.content) == (UNSET, None, "x")
        assert absent.model_dump() == {"role": "assistant"}
        assert null.model_dump() == {"role": "assistant", "content": None}
        assert value.model_dump() == {"role": "assistant", "content": "x"}
        assert json.loads(null.model_dump_json()) == null.model_dump()

    @pytest.mark.parametrize("name", DedicatedChatCompletionBody.model_fields)
    def test_every_optional_field_takes_null(self, name: str) -> None:
        field = DedicatedChatCompletionBody.model_fields[name]
        if field.is_required():
            assert validation_errors(**{name: None})[0][1] == (name,)
        else:
            assert getattr(strict(**{name: None}), name) is None
            assert getattr(strict(), name) is UNSET


NEW_FIELDS = [
    (models.ChatChoiceMessage, "reasoning_content", {"role": "assistant"}, "r"),
    (models.StreamedChatChoiceDelta, "reasoning_content", {}, "r"),
    (models.AssistantMessage, "reasoning_content", {"role": "assistant"}, "r"),
    (models.AssistantMessage, "reasoning", {"role": "assistant"}, "r"),
    *(
        (kind, name, required, True)
        for name in ("prefix", "partial")
        for kind, required in (
            (models.AssistantMessage, {"role": "assistant"}),
            (models.SystemMessage, {"role": "system", "content": ""}),
            (models.messages.DeveloperMessage, {"role": "developer", "content": ""}),
            (models.UserMessage, {"role": "user", "content": ""}),
            (models.ToolMessage, {"role": "tool", "tool_call_id": ""}),
        )
    ),
    (models.ChatChoice, "seed", {"index": 0, "message": {"role": "assistant"}}, 7),
    (models.StreamedChatChoice, "seed", {"index": 0, "delta": {}}, 7),
    (
        models.ChatUsage,
        "prompt_tokens_details",
        {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        models.PromptTokensDetails(cached_tokens=1),
    ),
]
"""Class, field, the required fields, a value."""


class TestFieldsThatThePublishedClientLacks:
    def test_the_list_has_all_of_them(self) -> None:
        classes = {kind for kind in vars(models).values() if isinstance(kind, type)}
        found = {
            (kind, name)
            for kind in classes
            if issubclass(kind, BaseModel)
            for name in kind._new_fields
        }
        assert found == {(kind, name) for kind, name, _, _ in NEW_FIELDS}

    @pytest.mark.parametrize(("kind", "name", "required", "value"), NEW_FIELDS)
    def test_they_read_as_none_where_absent_and_are_dumped_as_sent(
        self, kind: type[BaseModel], name: str, required: dict[str, Any], value: Any
    ) -> None:
        absent = kind.model_validate(required)
        null = kind.model_validate({**required, name: None})
        given_ = kind.model_validate({**required, name: value})
        assert [getattr(model, name) for model in (absent, null, given_)] == [None, None, value]
        dumps = [model.model_dump() for model in (absent, null, given_)]
        assert [name in dump for dump in dumps] == [False, True, True]
        assert [name in str(model) for model in (absent, null, given_)] == [False, True, True]
        assert absent != null
        for model in (absent, null, given_):
            for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
                assert copied == model and copied.model_dump() == model.model_dump()

    def test_they_can_be_set_deleted_and_declared_anew(self) -> None:
        delta = models.StreamedChatChoiceDelta()
        delta.reasoning_content = "a"
        assert delta.model_dump() == {"reasoning_content": "a"}
        del delta.reasoning_content
        with pytest.raises(AttributeError, match="reasoning_content"):
            delta.reasoning_content  # noqa: B018

        class Delta(models.StreamedChatChoiceDelta):
            extra_text: str = ""

        class Reasoning(models.StreamedChatChoiceDelta):
            reasoning_content: str = ""

        assert Delta().reasoning_content is None
        assert Reasoning().reasoning_content == ""


class TestDumps:
    def test_exclude_none_keeps_what_was_sent_as_null(self) -> None:
        sent = chunk({"content": "a"}) | {"usage": None}
        sent["choices"][0] |= {"finish_reason": None, "logprobs": None}
        event = StreamedChatData.model_validate(sent)
        assert event.model_dump(exclude_none=True) == event.model_dump() == sent
        assert json.loads(event.model_dump_json(exclude_none=True)) == sent

    def test_older_methods_dump_the_names_of_the_wire(self) -> None:
        answer = ContainerChatCompleteSuccess.model_validate(completion())
        assert answer.dict() == answer.model_dump() == completion()
        assert json.loads(answer.json()) == completion()


class TestConstants:
    def test_constants_are_readable_under_both_names(self) -> None:
        answer = ContainerChatCompleteSuccess.model_validate(completion())
        assert answer.OBJECT == answer.object == "chat.completion"
        message = models.SystemMessage(content="x")
        assert message.ROLE == message.role == "system"
        assert models.SystemMessage.model_validate({"content": "x", "ROLE": "system"}) == message
        assert models.SystemMessage.model_validate({"content": "x", "role": "system"}) == message
        tool = models.Tool(function=models.Function(name="f", parameters={}))
        assert tool.TYPE == tool.type == "function"

    def test_constants_are_dumped_by_alias(self) -> None:
        assert models.UserMessage(content="x").model_dump() == {"content": "x", "role": "user"}
        # pydantic's plugin for mypy does not know the alias of the field `schema_`.
        regex = models.ResponseFormatRegex(schema="a+")  # type: ignore[call-arg]
        assert regex.model_dump() == {"schema": "a+", "type": "regex"}

    def test_wrong_constant_is_rejected_in_requests(self) -> None:
        with pytest.raises(pydantic.ValidationError):
            models.SystemMessage.model_validate({"content": "x", "role": "user"})


class TestUnknownFields:
    def test_answer_keeps_unknown_fields(self) -> None:
        raw = completion(system_fingerprint="fp", brand_new={"a": [1]})
        raw["choices"][0]["finish_reason"] = "teapot"
        raw["choices"][0]["message"] |= {
            "role": "robot",
            "reasoning_content": "hm",
            "refusal": None,
        }
        raw["choices"][0]["seed"] = 7
        raw["usage"]["prompt_tokens_details"] = {"cached_tokens": 2, "x": 1}
        answer = ContainerChatCompleteSuccess.model_validate_json(json.dumps(raw))
        assert answer.model_dump() == raw
        assert answer.choices[0].finish_reason == "teapot"
        assert answer.choices[0].message.reasoning_content == "hm"
        assert answer.choices[0].seed == 7

    def test_event_keeps_unknown_fields(self) -> None:
        raw = chunk({"content": "x", "novel": 1, "tool_calls": [{"index": 0, "type": None}]}, "new")
        raw["obfuscation"] = "zzz"
        raw["choices"][0]["delta"]["tool_calls"][0]["function"] = {"name": "f", "odd": True}
        event = StreamedChatData.model_validate_json(json.dumps(raw))
        assert event.model_dump() == raw
        assert event.choices[0].delta.tool_calls[0].TYPE is None  # type: ignore[index]

    def test_request_keeps_unknown_fields(self) -> None:
        raw: dict[str, Any] = {
            "model": "e",
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "u", "detail": "low"}}],
                }
            ],
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}
            ],
            "novel": None,
        }
        body = DedicatedChatCompletionBody.model_validate(raw)
        assert body.model_dump() == raw
        assert body.model_extra == {"novel": None}


class TestStrict:
    def test_messages_are_parsed_by_role(self) -> None:
        body = strict(
            messages=[
                {"role": "developer", "content": [{"type": "text", "text": "x"}]},
                {"role": "assistant", "content": None, "reasoning_content": "r"},
                {"role": "assistant"},
                {"role": "tool", "content": "1", "tool_call_id": "c"},
            ],
            stop="x",
            seed=[1, 2],
            max_completion_tokens=3,
        )
        assert [m.role for m in body.messages] == ["developer", "assistant", "assistant", "tool"]
        assert body.stop == "x" and body.seed == [1, 2] and body.max_completion_tokens == 3

    def test_validation_errors_name_the_field(self) -> None:
        assert validation_errors(messages=[{"role": "x", "content": ""}]) == [
            ("union_tag_invalid", ("messages", 0))
        ]
        assert validation_errors(messages=[{"content": ""}]) == [
            ("union_tag_not_found", ("messages", 0))
        ]
        assert validation_errors(messages=[{"role": "system"}]) == [
            ("missing", ("messages", 0, "system", "content"))
        ]
        assert validation_errors(max_tokens="3") == [("int_type", ("max_tokens",))]
        assert validation_errors(logprobs=1) == [("bool_type", ("logprobs",))]
        assert validation_errors(temperature="1") == [("float_type", ("temperature",))]
        assert validation_errors(response_format={"type": "xml"}) == [
            ("union_tag_invalid", ("response_format",))
        ]
        missing = {error["loc"] for error in errors_of_body(b"{}")}
        assert missing == {("model",), ("messages",)}

    def test_lax_mode_coerces_values(self) -> None:
        body = DedicatedChatCompletionBody.model_validate(
            {**BODY, "max_tokens": "12", "temperature": "0.5", "top_k": 1.0, "stop": ("a",)}
        )
        assert (body.max_tokens, body.temperature, body.top_k, body.stop) == (12, 0.5, 1, ["a"])


def errors_of_body(body: bytes) -> list[Any]:
    with pytest.raises(pydantic.ValidationError) as caught:
        DedicatedChatCompletionBody.model_validate_json(body, strict=True)
    return list(caught.value.errors())


def test_json_schema_of_optional_fields_allows_null() -> None:
    for model in (DedicatedChatCompletionBody, ContainerChatCompleteSuccess, StreamedChatData):
        schema = model.model_json_schema()
        assert "object" in schema["type"]
    temperature = DedicatedChatCompletionBody.model_json_schema()["properties"]["temperature"]
    assert temperature["default"] is None
    assert temperature["anyOf"] == [{"type": "number"}, {"type": "null"}]


def test_str_of_an_answer() -> None:
    answer = ContainerChatCompleteSuccess.model_validate(
        {
            "id": "c1",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "hi"},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            "created": 1,
            "object": "chat.completion",
            "model": "m",
        }
    )
    assert str(answer) == (
        "id='c1' choices=[ChatChoice(index=0, message=ChatChoiceMessage(role='assistant', "
        "content='hi', tool_calls=Unset()), finish_reason='stop', logprobs=None)] "
        "usage=ChatUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3) created=1 "
        "OBJECT='chat.completion' model='m'"
    )
    answer.choices[0].seed = 4
    assert "seed=4" in str(answer)


def test_every_model_has_a_typed_dict_with_the_same_fields() -> None:
    count = 0
    for name in models.__all__:
        model = getattr(models, name)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        hints = get_type_hints(getattr(models, f"{name}TypedDict"))
        wire = {field.alias or key for key, field in model.model_fields.items()}
        if "X-Friendli-Team" in wire:
            wire = wire - {"X-Friendli-Team"} | {"x_friendli_team"}
        assert wire <= hints.keys(), name
        count += 1
    assert count > 40


def test_models_copy_pickle_and_compare_by_value() -> None:
    first = ContainerChatCompleteSuccess.model_validate(completion())
    assert pickle.loads(pickle.dumps(first)) == first == copy.deepcopy(first)
    assert first != ContainerChatCompleteSuccess.model_validate(completion("other"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text().map("x_{}".format), json_values, max_size=4))
def test_any_unknown_fields_survive_a_round_trip(extra: dict[str, Any]) -> None:
    raw = {**completion(), **extra}
    text = ContainerChatCompleteSuccess.model_validate_json(json.dumps(raw)).model_dump_json()
    assert json.loads(text) == raw
