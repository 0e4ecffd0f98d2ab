"""Prompts with an exact number of words, different for each seed."""

import random
from collections.abc import Iterator

__all__ = ["fresh_words", "words"]

QUALITIES = "old quiet young clever tired brave gentle proud lonely careful happy famous".split()
PEOPLE = (
    "sailor teacher farmer painter doctor baker captain singer driver writer nurse cook".split()
)
DEEDS = "found sold carried painted lost washed hid opened moved watched fixed wanted".split()
THINGS = "box letter boat lamp clock map chair basket book table bottle key".split()
PLACES = (
    "river market station garden church bridge harbor school forest kitchen tower field".split()
)
TIMES = "morning evening winter summer night week spring afternoon year day month autumn".split()

OPENINGS = 10**8
"""Number of possible first words, large enough that two prompts of a run rarely share one."""


def words(count: int, seed: str) -> str:
    """Returns plain sentences, cut off after `count` words, determined by the seed."""
    source = _endless(random.Random(seed))
    return " ".join(next(source) for _ in range(count))


def fresh_words(count: int, seed: str) -> str:
    """Returns `words` whose first word is a random number, determined by the seed.

    A prefix cache therefore matches nothing but the beginning of the chat template.
    """
    opening = random.Random(f"opening {seed}").randrange(OPENINGS, 10 * OPENINGS)
    return f"{opening} {words(count - 1, seed)}"


def _endless(random: random.Random) -> Iterator[str]:
    while True:
        yield from ("One", random.choice(TIMES), "the", random.choice(QUALITIES))
        yield from (random.choice(PEOPLE), random.choice(DEEDS), "a", random.choice(QUALITIES))
        yield from (random.choice(THINGS), "near", "the", f"{random.choice(PLACES)}.")
