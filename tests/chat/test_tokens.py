"""Token masks, and the index of tokens by their bytes."""

import numpy as np

from friendli_endpoint.chat.tokens import TokenIndex, bitmask_of, bitmask_without
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()


def test_tokens_are_found_by_their_bytes() -> None:
    index = TokenIndex(VOCABULARY)
    texts = [VOCABULARY.token_bytes(token) for token in range(VOCABULARY.size)]
    for text in (b"<", b"think>", b"the", b"th", b"<|im_end|>"):
        for found, expected in (
            (
                index.starting_with(text),
                [token_text for token_text in texts if token_text.startswith(text)],
            ),
            (index.containing(text), [token_text for token_text in texts if text in token_text]),
            (
                index.prefixes_of(text),
                [prefix for prefix in texts if text.startswith(prefix) and prefix != text],
            ),
        ):
            pairs = list(found)
            assert sorted(data for data, _ in pairs) == sorted(expected)
            assert all(VOCABULARY.token_bytes(token) == data for data, token in pairs)


def test_tokens_without_bytes_are_not_in_the_index() -> None:
    class Empty(ScriptedVocabulary):
        def token_bytes(self, token_id: int) -> bytes:
            return b"" if token_id == 3 else super().token_bytes(token_id)

    assert all(token != 3 for _, token in TokenIndex(Empty()).starting_with(b""))


def test_bitmask_without_allows_all_tokens_but_the_listed_ones() -> None:
    mask = bitmask_without([0, 31, 32, 70], 71)
    assert mask.shape == (3,)
    assert not np.any(mask & bitmask_of([0, 31, 32, 70], 71))
    assert [t for t in range(71) if not mask[t // 32] >> (t % 32) & 1] == [0, 31, 32, 70]
