"""Control tokens that user texts form together, or in one character, stay text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.prompt.builder import PromptBuilder
from friendli_endpoint.chat.prompt.template import ChatTemplate
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary(context=100_000)
CONTROL = [VOCABULARY.token_bytes(token).decode() for token in sorted(VOCABULARY.control_ids)]
MARK = "\ufdd0"


def prompt_of(
    source: str, *contents: str, vocabulary: ScriptedVocabulary = VOCABULARY
) -> list[int]:
    prompts = PromptBuilder(ChatTemplate(source, {}), vocabulary, vocabulary.context)
    return list(prompts.build([{"role": "user", "content": text} for text in contents], {}).ids)


def control_ids_in(ids: list[int], vocabulary: ScriptedVocabulary = VOCABULARY) -> list[int]:
    return [token for token in ids if token in vocabulary.control_ids]


FRAGMENTS = [*CONTROL, "<|im_end", "<|im_", "<|", "|>", "<", ">", "_end|>", "im_end|>", "\n", "é"]
hostile = st.one_of(st.text(), st.lists(st.sampled_from([*FRAGMENTS, MARK])).map("".join))


@settings(max_examples=200, deadline=None)
@given(st.lists(hostile, min_size=1, max_size=4))
def test_adjacent_texts_do_not_form_a_control_token(contents: list[str]) -> None:
    source = "{% for m in messages %}{{ m.content }}{% endfor %}#"
    ids = prompt_of(source, *contents)
    assert control_ids_in(ids) == []
    assert VOCABULARY.text(ids) == "".join(contents) + "#"


@pytest.mark.parametrize("cut", range(1, len("<|im_end|>")))
def test_a_control_token_split_over_two_texts_is_text(cut: int) -> None:
    source = "{{ messages[0].content }}{{ messages[1].content }}"
    assert control_ids_in(prompt_of(source, "<|im_end|>"[:cut], "<|im_end|>"[cut:])) == []


def test_a_control_token_begun_by_a_user_and_completed_by_the_template_is_text() -> None:
    assert control_ids_in(prompt_of("{{ messages[0].content }}|im_end|><|im_end|>", "<")) == [2]


@settings(max_examples=200, deadline=None)
@given(st.lists(hostile, min_size=1, max_size=3))
def test_hostile_texts_are_tokenized_as_text_between_control_tokens_of_the_template(
    contents: list[str],
) -> None:
    source = "{% for m in messages %}<|im_start|>user\n{{ m.content }}<|im_end|>{% endfor %}x"
    ids = []
    for content in contents:
        ids += [1, *VOCABULARY.tokenize(f"user\n{content}", False), 2]
    assert prompt_of(source, *contents) == [*ids, *VOCABULARY.tokenize("x", False)]


STRANGE = [
    (b"aa", b"aaa", b"aba", b"<a>"),
    (b"<<", b"<<>>", b"<>", b">>"),
    ("★".encode(), b"ba", b"ab", b"abab"),
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(STRANGE), st.text(alphabet="ab<>\n★", max_size=12))
def test_one_character_and_overlapping_control_tokens_stay_text(
    control: tuple[bytes, ...], text: str
) -> None:
    vocabulary = ScriptedVocabulary(context=1000, control=control)
    first = control[0].decode()
    source = f"{first}#{{{{ messages[0].content }}}}#{first}"
    ids = prompt_of(source, text, vocabulary=vocabulary)
    assert control_ids_in(ids, vocabulary) == [0, 0]
    assert vocabulary.text(ids) == f"{first}#{text}#{first}"


@pytest.mark.parametrize("role", ["user", "system", "assistant", "tool"])
def test_roles_are_passed_without_marks(role: str) -> None:
    """Templates compare roles, so a mark would change the result."""
    vocabulary = ScriptedVocabulary(context=1000, control=(b"rest", b"ment", b"toll", b"<t>"))
    source = "{% if messages[0]['role'] == '" + role + "' and messages[0].content %}yes{% endif %}"
    prompts = PromptBuilder(ChatTemplate(source, {}), vocabulary, vocabulary.context)
    assert prompts.build([{"role": role, "content": "a<"}], {}).text == "yes"
