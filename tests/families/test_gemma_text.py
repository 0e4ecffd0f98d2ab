"""Text and tokens of a SentencePiece vocabulary of 262,144 tokens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.prompt.builder import PromptBuilder
from friendli_endpoint.chat.prompt.template import ChatTemplate
from tests.families.served import CONTEXT, Served
from tests.support.models.gemma import SIZE, gemma_tokens

OPENING = "<bos><start_of_turn>user\n"
CLOSING = "<end_of_turn>\n<start_of_turn>model\n"
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "hi"}


def test_the_system_message_is_part_of_the_first_user_turn(gemma: Served) -> None:
    text = f"{OPENING}Be brief.\n\nhi{CLOSING}"
    assert gemma.text(messages=[SYSTEM, USER]) == text


def test_the_prompt_begins_with_exactly_one_bos(gemma: Served) -> None:
    assert gemma.vocabulary.adds_bos
    assert gemma.prompt("hi").count(b"<bos>") == 1
    own = PromptBuilder(ChatTemplate("{{ messages[0].content }}", {}), gemma.vocabulary, CONTEXT)
    assert own.build([USER], {}).ids[0] == gemma.vocabulary.bos_id
    assert own.build([{"role": "user", "content": "<bos>hi"}], {}).ids.count(2) == 1


def test_both_eos_tokens_are_known(gemma: Served) -> None:
    vocabulary = gemma.vocabulary
    ends = {gemma.token("<eos>"), gemma.token("<end_of_turn>")}
    assert vocabulary.size == SIZE
    assert vocabulary.end_ids == ends
    assert vocabulary.eos_id == gemma.token("<eos>")


def test_control_tokens_are_read_from_the_file(gemma: Served) -> None:
    tokens = gemma_tokens()
    control = {token for token, kind in enumerate(tokens.kinds) if kind in (2, 3)}
    assert gemma.vocabulary.control_ids == control
    assert tokens.id("<unk>") in control
    assert tokens.id("<table>") not in control


def test_token_bytes_are_those_of_the_file(gemma: Served) -> None:
    tokens, piece = gemma_tokens(), gemma.vocabulary.token_bytes
    first = tokens.id("<0x00>")
    assert [piece(first + value) for value in range(256)] == [bytes([n]) for n in range(256)]
    for text in ("▁the", "é", "\n\n\n", "    ", "<table>", "🙂"):
        assert piece(tokens.id(text)) == text.replace("▁", " ").encode()


texts = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(["the", " sea", "  ", "\n\n", "é", "👩\u200d👧", "日", "{", "\0"])
    ).map("".join),
)


@settings(max_examples=150, deadline=None)
@given(texts, st.booleans())
def test_detokenizing_restores_the_text(gemma: Served, text: str, special: bool) -> None:
    vocabulary = gemma.vocabulary
    # The vocabulary writes a space as U+2581, so it cannot distinguish the two.
    expected = text.replace("\u2581", " ").encode()
    assert b"".join(map(vocabulary.token_bytes, vocabulary.tokenize(text, special))) == expected


hostile = st.lists(
    st.sampled_from(
        [
            "<end_of_turn>", "<start_of_turn>", "<bos>", "<unk>", "<unused7>", "<unused6000>",
            "<end_of", "_turn>", "<", "[multimodal]", "<table>", "<0x0A>", " ", "\n", "the",
        ]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(hostile)
def test_control_tokens_in_user_text_are_tokenized_as_text(gemma: Served, text: str) -> None:
    ids = gemma.ids(f"({text})")
    own = [gemma.token(name) for name in ("<bos>", "<start_of_turn>", "<end_of_turn>")]
    control = [token for token in ids if token in gemma.vocabulary.control_ids]
    assert control == [own[0], own[1], own[2], own[1]]
    assert gemma.text(f"({text})") == f"{OPENING}({text}){CLOSING}"
    assert list(ids[2:-5]) == gemma.vocabulary.tokenize(f"user\n({text})", False)


def test_a_tool_call_and_its_result_are_rendered_as_turns(gemma: Served) -> None:
    function = {"name": "look", "arguments": '{"at": "sea"}'}
    called = {"role": "assistant", "content": None,
              "tool_calls": [{"id": "1", "type": "function", "function": function}]}  # fmt: skip
    result = {"role": "tool", "tool_call_id": "1", "content": "blue"}
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    text = gemma.text(messages=[SYSTEM, USER, called, result], tools=[tool])
    turns = text.split("<start_of_turn>")
    assert [turn.partition("\n")[0] for turn in turns[1:]] == ["user", "model", "user", "model"]
    assert turns[1].startswith("user\nBe brief.\n\n")
    assert '"look"' in turns[1] and turns[1].endswith("\n\nhi<end_of_turn>\n")
    assert '{"name": "look", "arguments": {"at": "sea"}}' in turns[2]
    assert "blue" in turns[3]


@pytest.mark.parametrize("field", ["reasoning_budget", "reasoning_effort"])
def test_a_model_without_reasoning_rejects_reasoning_parameters(gemma: Served, field: str) -> None:
    value = 5 if field == "reasoning_budget" else "low"
    assert gemma.rejected_param(**{field: value}) == field
