"""Generated prompts."""

from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.bench.prompts import fresh_words, words


@given(st.integers(1, 500), st.text(max_size=5))
def test_prompts_have_the_given_number_of_words_and_depend_only_on_the_seed(
    count: int, seed: str
) -> None:
    assert len(words(count, seed).split()) == count
    assert len(fresh_words(count, seed).split()) == count
    assert fresh_words(count, seed) == fresh_words(count, seed)
