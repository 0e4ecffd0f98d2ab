"""A small vocabulary of bytes, and random walks over a grammar."""

import random
import re
from collections.abc import Sequence

import numpy as np

from friendli_endpoint.chat.structured import Constraint
from friendli_endpoint.chat.tools import FAMILIES, Family, Marker, ToolSpec
from tests.support.chat import ConstraintMaker

_LONG_TOKENS = [
    b'": {"',
    b'"}',
    b'{"',
    b"}}\n",
    b'", "',
    b"</",
    b"\n</",
    b"):",
    b"ue",
    b" [",
    b'")]',
]
_LONG_TOKENS += [
    b"</arg_value>",
    b"\n</parameter>\n",
    b"</parameter>",
    b"<escape>",
    b"]]></param>",
    b'<|"|>',
    "</｜DSML｜parameter>".encode(),  # noqa: RUF001
]
_MARKERS = sorted({marker for family in FAMILIES for marker in family.markers})
_ANY_MARKER = re.compile("(" + "|".join(map(re.escape, _MARKERS)) + ")")
_CLOSERS = frozenset(b'"}])<\n')


class ByteVocabulary:
    """All bytes, some long tokens, an end, and the markers of all families as control tokens."""

    def __init__(self) -> None:
        texts = [bytes([byte]) for byte in range(256)] + _LONG_TOKENS + [b"<end>"]
        end = len(texts) - 1
        self.eos_id: int | None = end
        self.bos_id: int | None = None
        self.adds_bos = False
        self._texts = texts + [marker.encode() for marker in _MARKERS]
        self.size = len(self._texts)
        self.end_ids = frozenset({end})
        self.control_ids = frozenset(range(end, self.size))
        self.ids = {text: end + 1 + index for index, text in enumerate(_MARKERS)}

    def tokenize(self, text: str, special: bool) -> list[int]:
        return list(text.encode())

    def token_bytes(self, token_id: int) -> bytes:
        return self._texts[token_id]


VOCABULARY = ByteVocabulary()
COMPILER = ConstraintMaker(VOCABULARY)


def as_text(marker: str) -> str:
    return '"' + marker.replace("\\", "\\\\").replace('"', '\\"') + '"'


def as_token(marker: str) -> str:
    return f"<[{VOCABULARY.ids[marker]}]>"


def encoded(text: str, marker: Marker) -> list[int]:
    """Returns the token ids of a text with markers."""
    if marker is as_text:
        return list(text.encode())
    return [
        token
        for part in _ANY_MARKER.split(text)
        for token in ([VOCABULARY.ids[part]] if part in VOCABULARY.ids else part.encode())
    ]


def constraint(
    family: Family, tools: Sequence[ToolSpec], marker: Marker, *, required: bool, parallel: bool
) -> Constraint:
    grammar = family.grammar(tools, required=required, parallel=parallel, marker=marker)
    return COMPILER.lark(grammar, VOCABULARY.end_ids, "tools")


def allowed(state: Constraint) -> list[int]:
    bits = np.unpackbits(state.mask().view(np.uint8), bitorder="little")
    return [int(token) for token in np.nonzero(bits[: VOCABULARY.size])[0]]


class Walk:
    """An output that is extended by tokens that its constraint allows."""

    def __init__(self, state: Constraint) -> None:
        self.state = state
        self.output = b""
        self.ended = False

    @property
    def text(self) -> str:
        return self.output.decode()

    def append(self, token: int) -> None:
        assert not self.ended
        self.output += VOCABULARY.token_bytes(token)
        self.ended = self.state.accept(token)

    def write(self, text: str, marker: Marker = as_text) -> None:
        """Appends a text, which must be allowed; its markers are text or tokens."""
        for token in encoded(text, marker):
            assert token in allowed(self.state), (self.output, VOCABULARY.token_bytes(token))
            self.append(token)

    def wander(self, draw: random.Random, max_steps: int) -> bool:
        """Appends random tokens, increasingly closing ones; returns whether the output ended."""
        for step in range(max_steps):
            if self.ended:
                return True
            choices = allowed(self.state)
            assert choices, self.output
            if VOCABULARY.eos_id in choices and draw.random() < 0.3:
                return True
            continuing = [token for token in choices if token != VOCABULARY.eos_id]
            if not continuing:
                return True
            closing = [
                token for token in continuing if VOCABULARY.token_bytes(token)[0] in _CLOSERS
            ]
            if closing and draw.random() < 0.1 + step / 200:
                continuing = closing
            self.append(draw.choice(continuing))
        return self.ended
