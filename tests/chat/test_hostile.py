"""Requests that would cost much or fail oddly are refused early, and with the field."""

import json
from typing import Any

import pytest

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.generation import Refusal
from tests.support.scripted import ScriptedVocabulary

USER = {"role": "user", "content": "Hello!"}
TEMPLATE = (
    "{% for m in messages %}{{ m.content }}{{ m.tool_calls|tojson if m.tool_calls }}{% endfor %}"
)


class Vocabulary(ScriptedVocabulary):
    """Counts what it tokenises."""

    tokenized = 0

    def tokenize(self, text: str, special: bool) -> list[int]:
        self.tokenized += len(text)
        return super().tokenize(text, special)


def accepted(vocabulary: Vocabulary, **fields: Any) -> Any:
    body = json.dumps({"model": "m", "messages": [USER], **fields})
    model = ChatModel(vocabulary, TEMPLATE)
    vocabulary.tokenized = 0
    return model.accept(DedicatedChatCompletionBody.model_validate_json(body))


def refusal(vocabulary: Vocabulary, **fields: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        accepted(vocabulary, **fields)
    return caught.value


def called(arguments: str) -> list[Any]:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [USER, {"role": "assistant", "tool_calls": [call]}]


@pytest.mark.parametrize("depth", [10, 190, 210, 900, 1_100, 100_000])
def test_calls_with_deep_arguments_are_read_or_left_as_text(depth: int) -> None:
    vocabulary = Vocabulary(context=1 << 20)
    messages = called("[" * depth + "]" * depth)
    prompt = vocabulary.text(accepted(vocabulary, messages=messages).request.prompt)
    assert ('"arguments": [' in prompt) == (depth < 200)
    assert ("[" * depth + "]" * depth) in prompt


def test_a_prompt_that_cannot_fit_is_not_tokenised() -> None:
    vocabulary = Vocabulary(context=100)
    message = {"role": "user", "content": "x" * 100_000}
    found = refusal(vocabulary, messages=[message])
    assert (found.param, found.code) == ("messages", "context_length_exceeded")
    assert vocabulary.tokenized == 0
    fits = {"role": "user", "content": "<|endoftext|>" * 7}
    assert accepted(Vocabulary(context=100), messages=[fits])


def test_there_may_be_so_many_messages() -> None:
    assert refusal(Vocabulary(), messages=[USER] * 2049).param == "messages"
    empty = {"role": "user", "content": ""}
    assert accepted(Vocabulary(), messages=[USER, *[empty] * 2047])


@pytest.mark.parametrize("model", ["../../etc/passwd", "\0", "a\r\nb: c", "m:../x", "x" * 256])
def test_a_models_name_is_only_a_name(model: str) -> None:
    assert accepted(Vocabulary(), model=model).completion is not None


def test_a_models_name_has_an_end() -> None:
    assert refusal(Vocabulary(), model="x" * 257).param == "model"
