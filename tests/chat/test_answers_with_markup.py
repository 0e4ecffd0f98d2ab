"""Answers of models that write headers or markers around all text, from tokens to messages."""

from typing import Any

import pytest

from friendli.models import ContainerChatCompleteSuccess
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.generation import Generated, TokenStep
from tests.chat.prompt.call_templates import WRITTEN, template_of
from tests.support.chat import body_of, set_bits
from tests.support.scripted import ScriptedVocabulary

HARMONY_MARKERS = (
    *("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>"),
    *("<|call|>", "<|return|>"),
)
COHERE_MARKERS = (
    *("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    *("<|START_ACTION|>", "<|END_ACTION|>", "<|START_TEXT|>", "<|END_TEXT|>"),
)


class MarkedVocabulary(ScriptedVocabulary):
    """A vocabulary with more control tokens; `<|call|>` and `<|return|>` end an output."""

    def __init__(self, markers: tuple[str, ...]) -> None:
        super().__init__(context=2000)
        self.control_ids |= frozenset(range(self.size, self.size + len(markers)))
        self._texts += [marker.encode() for marker in markers]
        self._ids = {text: token for token, text in enumerate(self._texts)}
        self._max_length = max(map(len, self._texts))
        self.size = len(self._texts)
        ends = {"<|call|>", "<|return|>"} & set(markers)
        self.end_ids |= frozenset(map(self.token, ends))


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"at": {"type": "string"}},
                "required": ["at"],
                "additionalProperties": False,
            },
        },
    }
    for name in ("look", "look_up")
]
FINAL = "<|channel|>final<|message|>"
ANALYSIS = "<|channel|>analysis<|message|>"
PREAMBLE = "<|channel|>commentary<|message|>"
NEXT = "<|end|><|start|>assistant"
CALL = '<|channel|>commentary to=functions.look <|constrain|>json<|message|>{"at": "x"}'
BY_ROLE = ' to=functions.look_up<|channel|>commentary json<|message|>{"at": "x"}'
THOUGHT = "<|START_THINKING|>Hm.<|END_THINKING|>"
ACTION = (
    '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "look", "parameters": {"at": "x"}}'
    "\n]<|END_ACTION|>"
)


def model_of(
    family: str, tags: str, markers: tuple[str, ...]
) -> tuple[MarkedVocabulary, RuleCompiler, ChatModel]:
    vocabulary = MarkedVocabulary(markers)
    rules = RuleCompiler(vocabulary)
    template = template_of(WRITTEN[family]) + "{# " + tags + " #}"
    return vocabulary, rules, ChatModel(rules, template, vocabulary.context, ChatDefaults())


MODELS = {
    f"{name} {kind}": model_of(family, tags, markers if kind == "tokens" else ())
    for name, family, tags, markers in (
        ("harmony", "harmony", ANALYSIS, HARMONY_MARKERS),
        ("response", "command_r7b", f"{THOUGHT}<|START_RESPONSE|>", COHERE_MARKERS),
        ("text", "command_r7b", f"{THOUGHT}<|START_TEXT|>", COHERE_MARKERS),
    )
    for kind in ("tokens", "text")
}
KINDS = pytest.mark.parametrize("kind", ["tokens", "text"])


def message(name: str, output: str, **fields: Any) -> tuple[str, str, list[str], str]:
    """Returns reasoning, content, calls and finish reason of an output, which must be allowed."""
    vocabulary, rules, model = MODELS[name]
    prepared = model.prepare(body_of(**fields))
    builder = model.respond(prepared)
    builder.opening()
    guide = rules.guide(prepared.request.rules)
    tokens = vocabulary.tokenize(output, special=True)
    for number, token in enumerate([*tokens, vocabulary.token("<|im_end|>")]):
        mask = guide.mask()
        assert mask is None or token in set_bits(mask, vocabulary), vocabulary.text(tokens[:number])
        findings = guide.accept(token, False)
        builder.read(Generated((TokenStep(0, token, findings),), 0.0))
        if findings.finish is not None:
            break
    return read(builder.completion())


def read(completion: ContainerChatCompleteSuccess) -> tuple[str, str, list[str], str]:
    (choice,) = completion.choices
    found = choice.message
    calls = [f"{call.function.name} {call.function.arguments}" for call in found.tool_calls or ()]
    return (
        getattr(found, "reasoning_content", None) or "",
        found.content or "",
        calls,
        str(choice.finish_reason),
    )


CALLED = ['look {"at": "x"}']
UP = ['look_up {"at": "x"}']
HARMONY: list[tuple[str, tuple[str, str, list[str], str]]] = [
    ("Hi.", ("", "Hi.", [], "stop")),
    (f"{FINAL}Hi.", ("", "Hi.", [], "stop")),
    (f"{ANALYSIS}Hm.{NEXT}{FINAL}Hi.", ("Hm.", "Hi.", [], "stop")),
    (f"{PREAMBLE}I look.{NEXT}{FINAL}Hi.", ("", "I look.Hi.", [], "stop")),
    (f"{ANALYSIS}Hm.{NEXT}{PREAMBLE}I look.", ("Hm.", "I look.", [], "stop")),
    (
        f"{ANALYSIS}Hm.{NEXT}{PREAMBLE}I look.{NEXT}{ANALYSIS}So.{NEXT}{FINAL}Hi.",
        ("Hm.So.", "I look.Hi.", [], "stop"),
    ),
]
HARMONY_CALLS: list[tuple[str, tuple[str, str, list[str], str]]] = [
    (CALL, ("", "", CALLED, "tool_calls")),
    (BY_ROLE, ("", "", UP, "tool_calls")),
    (f"{ANALYSIS}Hm.{NEXT}{CALL}", ("Hm.", "", CALLED, "tool_calls")),
    (f"{ANALYSIS}Hm.{NEXT}{BY_ROLE}", ("Hm.", "", UP, "tool_calls")),
]
HARMONY_AUTO: list[tuple[str, tuple[str, str, list[str], str]]] = [
    (f"{PREAMBLE}I look.{NEXT}{CALL}", ("", "I look.", CALLED, "tool_calls")),
    (
        f"{ANALYSIS}Hm.{NEXT}{PREAMBLE}I look.{NEXT}{ANALYSIS}So.{NEXT}{BY_ROLE}",
        ("Hm.So.", "I look.", UP, "tool_calls"),
    ),
]


@KINDS
@pytest.mark.parametrize("tools", [[], TOOLS], ids=["no tools", "tools"])
@pytest.mark.parametrize(("output", "expected"), HARMONY)
def test_headers_of_harmony_are_in_neither_content_nor_reasoning(
    kind: str, tools: list[Any], output: str, expected: tuple[str, str, list[str], str]
) -> None:
    assert message(f"harmony {kind}", output, tools=tools) == expected


@KINDS
@pytest.mark.parametrize(("output", "expected"), HARMONY_CALLS + HARMONY_AUTO)
def test_calls_of_harmony_may_follow_reasoning_and_text(
    kind: str, output: str, expected: tuple[str, str, list[str], str]
) -> None:
    assert message(f"harmony {kind}", output, tools=TOOLS) == expected


@KINDS
@pytest.mark.parametrize(("output", "expected"), HARMONY_CALLS)
def test_required_calls_of_harmony_may_follow_reasoning(
    kind: str, output: str, expected: tuple[str, str, list[str], str]
) -> None:
    found = message(f"harmony {kind}", output, tools=TOOLS, tool_choice="required")
    assert found == expected


def test_the_marker_after_a_call_of_harmony_ends_the_answer() -> None:
    found = message("harmony tokens", f"{CALL}<|call|>{NEXT}{CALL}", tools=TOOLS)
    assert found == ("", "", CALLED, "tool_calls")


@KINDS
def test_reasoning_between_messages_is_dropped_with_the_other_reasoning(kind: str) -> None:
    output, (_, content, calls, finish) = HARMONY_AUTO[1]
    found = message(f"harmony {kind}", output, tools=TOOLS, include_reasoning=False)
    assert found == ("", content, calls, finish)


@KINDS
@pytest.mark.parametrize("output", [output for output, _ in HARMONY])
def test_an_output_that_is_not_parsed_is_unchanged(kind: str, output: str) -> None:
    found = message(f"harmony {kind}", output, parse_reasoning=False)
    assert found == ("", output, [], "stop")


@KINDS
def test_a_response_format_follows_the_header_of_the_final_message(kind: str) -> None:
    form = {"type": "regex", "schema": "[0-9]+"}
    for before, reasoning in ((f"{ANALYSIS}Hm.{NEXT}{FINAL}", "Hm."), (FINAL, ""), ("", "")):
        found = message(f"harmony {kind}", f"{before}42", response_format=form)
        assert found == (reasoning, "42", [], "stop")


def test_stop_strings_are_not_searched_in_the_header_of_the_final_message() -> None:
    output = f"{ANALYSIS}Hm.{NEXT}{FINAL}Hi there."
    for kind in ("tokens", "text"):
        found = message(f"harmony {kind}", output, stop=["assistant", "final", " there"])
        assert found == ("Hm.", "Hi", [], "stop")


@KINDS
@pytest.mark.parametrize("tools", [[], TOOLS], ids=["no tools", "tools"])
@pytest.mark.parametrize("thought", ["", THOUGHT])
@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("response", "Hi."),
        ("response", "<|START_RESPONSE|>Hi.<|END_RESPONSE|>"),
        ("text", "<|START_TEXT|>Hi.<|END_TEXT|>"),
    ],
)
def test_markers_of_cohere_are_in_neither_content_nor_reasoning(
    kind: str, tools: list[Any], thought: str, name: str, output: str
) -> None:
    found = message(f"{name} {kind}", thought + output, tools=tools)
    assert found == ("Hm." if thought else "", "Hi.", [], "stop")


@KINDS
@pytest.mark.parametrize("thought", ["", THOUGHT])
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_calls_of_cohere_may_follow_reasoning(kind: str, thought: str, choice: str) -> None:
    found = message(f"response {kind}", thought + ACTION, tools=TOOLS, tool_choice=choice)
    assert found == ("Hm." if thought else "", "", CALLED, "tool_calls")


@KINDS
@pytest.mark.parametrize("tools", [[], TOOLS], ids=["no tools", "tools"])
def test_a_spent_budget_ends_the_reasoning_of_harmony(kind: str, tools: list[Any]) -> None:
    """With tools the model chooses the channel of the next message; without, it answers."""
    vocabulary, rules, model = MODELS[f"harmony {kind}"]
    prepared = model.prepare(body_of(tools=tools, reasoning_budget=1))
    guide = rules.guide(prepared.request.rules)
    for token in vocabulary.tokenize(f"{ANALYSIS}H", special=True):
        guide.accept(token, False)
    forced = vocabulary.text(guide.fast_forward_tokens())
    assert forced == ("<|end|>" if tools else f"{NEXT}{FINAL}")
