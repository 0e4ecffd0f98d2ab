"""Messages of every style of reasoning, through guide and reader: no tag is in the content."""

import itertools
import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.output.reader import Reader
from friendli_endpoint.chat.reasoning.styles import STYLES, ReasoningStyle, tag_ids
from friendli_endpoint.generation import DecodingRules, FinishReason, Grammar
from tests.support.chat import ChoiceReader, OpenVocabulary, set_bits

styles = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
END = 2


@dataclass(frozen=True)
class Message:
    """A message as a client gets it."""

    reasoning: str
    content: str
    finish: FinishReason | None


class Model:
    """A model that writes given outputs.

    Args:
        control: Texts that are control tokens.
        texts: Texts that are other tokens.
    """

    def __init__(self, control: tuple[str, ...] = (), texts: tuple[str, ...] = ()) -> None:
        self.vocabulary = OpenVocabulary(context=4096)
        self.vocabulary.control_ids |= {self.vocabulary.token_of(tag.encode()) for tag in control}
        ids = [self.vocabulary.token_of(text.encode()) for text in (*control, *texts)]
        self.vocabulary.size = max([self.vocabulary.size, *(token + 1 for token in ids)])
        self.rules = RuleCompiler(self.vocabulary)

    def message(
        self,
        style: ReasoningStyle,
        chunks: list[bytes],
        *stops: str,
        prompt: str = "",
        parse: bool = True,
        ends: bool = True,
        grammar: Grammar | None = None,
    ) -> Message:
        """Returns the message of an output, which ends by itself or because it is too long."""
        rules = DecodingRules(
            (END,),
            tuple(sorted(tag_ids(style, self.vocabulary))),
            stops,
            grammar=grammar,
            reasoning=style.rule(prompt, trims=grammar is None or grammar.kind == "lark"),
        )
        choice = ChoiceReader(self.rules.guide(rules), Reader(self.vocabulary, parse=parse))
        tokens = [self.vocabulary.token_of(chunk) for chunk in chunks]
        if grammar is not None:
            self._check_masks(rules, tokens)
        choice.read([*tokens, *([END] if ends else [])], is_last=not ends)
        return Message(choice.reasoning, choice.text, choice.finish)

    def _check_masks(self, rules: DecodingRules, tokens: list[int]) -> None:
        guide = self.rules.guide(rules)
        for token in tokens:
            mask = guide.mask()
            assert mask is not None and token in set_bits(mask, self.vocabulary)
            guide.accept(token, False)


def output_of(style: ReasoningStyle, answer: str) -> str:
    """Returns an output with reasoning, and all the tags around the answer."""
    reasoning = f"{style.open}\nhm\n{style.close}\n\n"
    return f"{reasoning}{style.answer_open}\n{answer}\n{style.answer_close}"


def chopped(output: str, cuts: list[int]) -> list[bytes]:
    text = output.encode()
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    return [text[begin:end] for begin, end in itertools.pairwise(edges)]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(STYLES),
    st.lists(st.integers(0, 200), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_a_streamed_message_equals_a_whole_one_and_has_no_tags(
    style: ReasoningStyle, cuts: list[int], ends: bool, parse: bool
) -> None:
    output = output_of(style, "It is 4.")
    chunks = chopped(output, cuts)
    finish: FinishReason = "stop" if ends else "length"
    message = Model().message(style, chunks, ends=ends, parse=parse)
    if not parse:
        assert message == Message("", output, finish)
    else:
        answer = "It is 4." if style.answer_close else "It is 4.\n"
        assert message == Message("hm", answer, finish)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(STYLES),
    st.lists(st.integers(0, 200), max_size=12),
    st.sampled_from([("END",), ("\nEND", "D"), (" 4",), ("</",), ("4.\n",)]),
)
def test_a_stop_string_is_searched_in_the_content_and_not_in_tags(
    style: ReasoningStyle, cuts: list[int], stops: tuple[str, ...]
) -> None:
    output = output_of(style, "It is 4.") + "\nEND"
    message = Model().message(style, chopped(output, cuts), *stops)
    content = Model().message(style, [output.encode()]).content
    found = min((content.find(stop) for stop in stops if stop in content), default=len(content))
    assert message == Message("hm", content[:found], "stop")
    assert not any(tag in content for tag in style.tags)


@styles
def test_tags_around_an_answer_in_a_response_format_stay_out_of_it(style: ReasoningStyle) -> None:
    model = Model(style.tags, ("hm", '{"a":', " 1}"))
    schema = Grammar("json_schema", json.dumps({"type": "object", "x-guidance": {}}))
    for opening in {style.answer_open, ""}:
        output = [style.open, "hm", style.close, opening, '{"a":', " 1}"]
        chunks = [text.encode() for text in output if text]
        message = model.message(style, chunks, grammar=schema)
        assert message == Message("hm", '{"a": 1}', "stop")


@styles
def test_tags_around_text_with_tools_stay_out_of_it(style: ReasoningStyle) -> None:
    model = Model(style.tags, ("hm", "Hi"))
    grammar = Grammar("lark", "start: TEXT\nTEXT: /(?s:.*)/\n")
    output = [style.open, "hm", style.close, style.answer_open, "Hi", style.answer_close]
    chunks = [text.encode() for text in output if text]
    assert model.message(style, chunks, grammar=grammar) == Message("hm", "Hi", "stop")
