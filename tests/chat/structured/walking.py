"""Outputs that a constraint allows, drawn at random, as a model without any sense would write."""

import random

from friendli_endpoint.chat.structured import Constraint
from tests.support.chat import ConstraintMaker, set_bits
from tests.support.scripted import ScriptedVocabulary

__all__ = ["COMPILER", "ENDS", "VOCABULARY", "allowed", "follows", "walk"]

VOCABULARY = ScriptedVocabulary()
ENDS = VOCABULARY.end_ids
COMPILER = ConstraintMaker(VOCABULARY)
_CLOSING = {VOCABULARY.byte(character) for character in '"]}01ea'}
_PRINTABLE = {VOCABULARY.byte(value) for value in range(32, 127)}


def allowed(constraint: Constraint) -> set[int]:
    """The tokens that may come next."""
    return set_bits(constraint.mask(), VOCABULARY)


def walk(constraint: Constraint, seed: int, most: int = 400) -> str | None:
    """A finished output; None if it has not come to an end.

    Checks on the way that an end is allowed exactly where the constraint is satisfied, and that
    something is always possible.
    """
    draw = random.Random(seed)
    eager, printable = draw.choice([0.1, 0.5, 1.0]), draw.random() < 0.7
    out = b""
    for step in range(most):
        choices = allowed(constraint)
        assert choices, f"nothing can follow {out!r}"
        assert bool(choices & ENDS) == constraint.satisfied
        forced = constraint.fast_forward_tokens()
        if choices & ENDS:
            if choices <= ENDS or draw.random() < eager or step > most // 4:
                return out.decode()
            choices -= ENDS
        if printable:
            choices = choices & _PRINTABLE or choices
        if step > most // 4 and draw.random() < 0.8:
            choices = choices & _CLOSING or choices
        token = forced[0] if forced else draw.choice(sorted(choices))
        out += VOCABULARY.token_bytes(token)
        if constraint.accept(token):
            return out.decode()
    return None


def follows(constraint: Constraint, text: str) -> bool:
    """Whether a constraint allows a text, and an end after it."""
    rest = text.encode()
    while rest:
        forced = constraint.fast_forward_tokens()
        token = forced[0] if forced else VOCABULARY.byte(rest[0])
        piece = VOCABULARY.token_bytes(token)
        if token not in allowed(constraint) or not rest.startswith(piece):
            return False
        constraint.accept(token)
        rest = rest[len(piece) :]
    return constraint.satisfied
