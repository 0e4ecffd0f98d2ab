"""The tags that close an answer are removed, for any chunking, and no byte is lost."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.reasoning.endings import AnswerEnding
from friendli_endpoint.generation import ReasoningRule

RULE = ReasoningRule("<t>", "</t>", answer_open="<a>", answer_close="</a>")
ALONE = ReasoningRule("<t>", "</t>", answer_close="</a>")
ATOMS = st.sampled_from(["<a>", "</a>", "</a", "<", "</", " ", "\n", "x", "yz"])


def read(rule: ReasoningRule, chunks: list[str]) -> str:
    """Returns the text of an answer; checks that the raw bytes are those of the chunks."""
    ending = AnswerEnding(rule)
    parts = [part for chunk in chunks for part in ending.feed(chunk.encode())]
    raw = b"".join(part.raw for part in parts)
    assert raw + ending.held == "".join(chunks).encode()
    parts += ending.finish()
    assert b"".join(part.raw for part in parts) == "".join(chunks).encode()
    assert all(part.text in (part.raw, b"") and not part.reasoning for part in parts)
    return b"".join(part.text for part in parts).decode()


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("", ""),
        (" \n", " \n"),
        ("x \n", "x \n"),
        ("x</a>", "x"),
        ("x\n </a>\n ", "x"),
        ("x</a></a> </a>", "x"),
        ("x </a> y ", "x  y "),
        ("x</a", "x</a"),
        ("x</a>\n</", "x\n</"),
        ("<a>x</a></a>", "<a>x</a>"),
        ("<a><a>x</a> </a>\n</a>", "<a><a>x</a> </a>"),
        ("</a><a>x</a>", "<a>x</a>"),
        ("<a>x", "<a>x"),
    ],
)
def test_a_closing_tag_without_its_opening_one_is_removed(output: str, text: str) -> None:
    assert read(RULE, [output]) == text


def test_without_an_opening_tag_every_closing_tag_is_removed() -> None:
    assert read(ALONE, ["<a>x</a>y</a>"]) == "<a>xy"


def test_an_answer_may_have_several_closing_tags() -> None:
    rule = ReasoningRule("<t>", "</t>", answer_close="</a>", other_answer_closes=("</m>",))
    assert read(rule, ["x", "</a>\n</m>\n"]) == "x"
    assert read(rule, ["x</m> y"]) == "x y"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([RULE, ALONE]),
    st.lists(ATOMS, max_size=10).map("".join),
    st.lists(st.integers(0, 40), max_size=8),
)
def test_the_text_does_not_depend_on_the_chunking(
    rule: ReasoningRule, output: str, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    chunks = [output[begin:end] for begin, end in itertools.pairwise(edges)]
    assert read(rule, chunks) == read(rule, [output]) == read(rule, list(output))
