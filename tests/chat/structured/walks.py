"""Random outputs that a constraint allows, as a random model would generate them."""

import random

from friendli_endpoint.chat.structured import Constraint
from tests.support.chat import ConstraintMaker, set_bits
from tests.support.scripted import ScriptedVocabulary

__all__ = ["COMPILER", "ENDS", "VOCABULARY", "allowed", "allows_text", "walk"]

VOCABULARY = ScriptedVocabulary()
ENDS = VOCABULARY.end_ids
COMPILER = ConstraintMaker(VOCABULARY)
_CLOSING = {VOCABULARY.byte(character) for character in '"]}01ea'}
_PRINTABLE = {VOCABULARY.byte(value) for value in range(32, 127)}


def allowed(constraint: Constraint) -> set[int]:
    """Returns the tokens that are allowed next."""
    return set_bits(constraint.mask(), VOCABULARY)


def walk(constraint: Constraint, seed: int, max_tokens: int = 400) -> str | None:
    """Generates a complete output; returns None if it is incomplete after `max_tokens`.

    Checks in each step that an EOS token is allowed exactly where the constraint is satisfied, and
    that some token is allowed.
    """
    rng = random.Random(seed)
    stop_rate, printable = rng.choice([0.1, 0.5, 1.0]), rng.random() < 0.7
    out = b""
    for step in range(max_tokens):
        choices = allowed(constraint)
        assert choices, f"no token is allowed after {out!r}"
        assert bool(choices & ENDS) == constraint.satisfied
        fast_forward = constraint.fast_forward_tokens()
        if choices & ENDS:
            if choices <= ENDS or rng.random() < stop_rate or step > max_tokens // 4:
                return out.decode()
            choices -= ENDS
        if printable:
            choices = choices & _PRINTABLE or choices
        if step > max_tokens // 4 and rng.random() < 0.8:
            choices = choices & _CLOSING or choices
        token = fast_forward[0] if fast_forward else rng.choice(sorted(choices))
        out += VOCABULARY.token_bytes(token)
        if constraint.accept(token):
            return out.decode()
    return None


def allows_text(constraint: Constraint, text: str) -> bool:
    """Whether a constraint allows a text as a complete output."""
    rest = text.encode()
    while rest:
        fast_forward = constraint.fast_forward_tokens()
        token = fast_forward[0] if fast_forward else VOCABULARY.byte(rest[0])
        token_bytes = VOCABULARY.token_bytes(token)
        if token not in allowed(constraint) or not rest.startswith(token_bytes):
            return False
        constraint.accept(token)
        rest = rest[len(token_bytes) :]
    return constraint.satisfied
