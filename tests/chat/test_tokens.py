"""Masks of tokens, and tokens by their bytes."""

import numpy as np

from friendli_endpoint.chat.tokens import TokenIndex, bitmask_of, bitmask_without
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()


def test_tokens_are_found_by_their_bytes() -> None:
    pieces = TokenIndex(VOCABULARY)
    texts = [VOCABULARY.token_bytes(token) for token in range(VOCABULARY.size)]
    for text in (b"<", b"think>", b"the", b"th", b"<|im_end|>"):
        for found, expected in (
            (pieces.beyond(text), [other for other in texts if other.startswith(text)]),
            (pieces.around(text), [other for other in texts if text in other]),
            (
                pieces.within(text),
                [part for part in texts if text.startswith(part) and part != text],
            ),
        ):
            pairs = list(found)
            assert sorted(piece for piece, _ in pairs) == sorted(expected)
            assert all(VOCABULARY.token_bytes(token) == piece for piece, token in pairs)


def test_a_token_without_bytes_is_not_found() -> None:
    class Empty(ScriptedVocabulary):
        def token_bytes(self, token_id: int) -> bytes:
            return b"" if token_id == 3 else super().token_bytes(token_id)

    assert all(token != 3 for _, token in TokenIndex(Empty()).beyond(b""))


def test_a_mask_without_tokens_has_a_bit_for_each_of_the_others() -> None:
    mask = bitmask_without([0, 31, 32, 70], 71)
    assert mask.shape == (3,)
    assert not np.any(mask & bitmask_of([0, 31, 32, 70], 71))
    assert [t for t in range(71) if not mask[t // 32] >> (t % 32) & 1] == [0, 31, 32, 70]
