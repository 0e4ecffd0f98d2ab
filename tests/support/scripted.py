"""A small vocabulary and a backend with scripted logits, to run the engine's loop on.

The backend checks its contract: every call of the loop that a real backend does not support is
recorded in `violations`, and `serving` fails the test for it.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.backend import (
    BLOCK_TOKENS,
    MAX_RUN,
    AdapterError,
    Block,
    BlockFormat,
    Logits,
    SavedBlocks,
    SlotId,
    Tokens,
)
from friendli_endpoint.engine.core.disk.store import DiskCache
from friendli_endpoint.engine.core.execution import EngineConfig
from friendli_endpoint.engine.core.fast_forward import MIN_RUN
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import (
    DecodingRules,
    EngineError,
    Event,
    FinishReason,
    GenerationRequest,
    Guide,
    GuideMaker,
    SamplingParams,
    Started,
    StepReport,
    TextSegment,
    TokenFindings,
    TokenStep,
)

__all__ = [
    "PATIENCE",
    "Call",
    "Inbox",
    "ScriptedBackend",
    "ScriptedGuide",
    "ScriptedRules",
    "ScriptedVocabulary",
    "bitmask",
    "chaotic",
    "following",
    "repeating",
    "request",
    "run",
    "scripted_guide",
    "serving",
]

PATIENCE = 30.0
"""Timeout in seconds for events that must happen."""

Rule = Callable[[tuple[int, ...]], Logits]
"""Function from all tokens of a sequence to the logits of the next one."""

_STATE = np.dtype("<i8")
"""Type of a token in a saved block."""

_ANY = -1
"""Adapter of restored tokens, which a block does not name."""

_CONTROL = (b"<|endoftext|>", b"<|im_start|>", b"<|im_end|>", b"<|tool|>")
_MULTI_BYTE = (
    b" the",
    b"the",
    b"ing",
    b"\n\n",
    b"  ",
    b"<|",
    b"|>",
    b"_end",
    "é".encode(),
    "日本".encode(),
    b"caf\xc3",
    b"\xa9!",
    "€u".encode(),
    b"\xf0\x9f",
    b"\x99\x82 ",
    b"STOP",
    b"ST",
    b"OP",
    b"END",
    b"</",
)


class ScriptedVocabulary:
    """All bytes, some tokens of several bytes, four control tokens; tokenizes by longest match.

    Ids 0 to 3 are control tokens (0 and 2 are EOS ids), id `byte(b)` is the byte b, and tokens of
    several bytes follow.
    """

    def __init__(
        self, context: int = 128, adds_bos: bool = False, control: Sequence[bytes] = _CONTROL
    ) -> None:
        assert len(control) == len(_CONTROL)
        self._texts = [*control, *(bytes([value]) for value in range(256)), *_MULTI_BYTE]
        self._ids = {text: token for token, text in enumerate(self._texts)}
        self._max_length = max(map(len, self._texts))
        self.size = len(self._texts)
        self.context = context
        self.end_ids = frozenset({0, 2})
        self.control_ids = frozenset(range(len(control)))
        self.bos_id: int | None = 1
        self.eos_id: int | None = 2
        self.adds_bos = adds_bos

    @staticmethod
    def byte(value: int | str) -> int:
        """Returns the token id of a byte or of an ASCII character."""
        return len(_CONTROL) + (ord(value) if isinstance(value, str) else value)

    def token(self, text: str | bytes) -> int:
        """Returns the token id of exactly this text."""
        return self._ids[text.encode() if isinstance(text, str) else text]

    def tokenize(self, text: str, special: bool) -> list[int]:
        encoded, ids, start = text.encode(), [], 0
        while start < len(encoded):
            for length in range(self._max_length, 0, -1):
                token = self._ids.get(encoded[start : start + length])
                if token is not None and (special or token not in self.control_ids):
                    ids.append(token)
                    start += len(self._texts[token])
                    break
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        return self._texts[token_id]

    def text(self, ids: Iterable[int]) -> str:
        """Decodes tokens to text."""
        return b"".join(map(self.token_bytes, ids)).decode()


@dataclass(frozen=True)
class Call:
    """A call of the loop to its backend."""

    name: str
    sequences: tuple[int, ...]
    tokens: tuple[int, ...] = ()
    position: int = 0
    adapter: int | None = None


class ScriptedBackend:
    """A backend with sequences as lists of tokens, and logits by a rule.

    Returned logits are overwritten with NaN at the next call, like the buffer of a C library.

    Args:
        rule: Computes the logits after a sequence's tokens.
        sequences: Number of sequences.
        context: Maximum number of tokens of a sequence.
        max_chunk: Maximum number of tokens of a prefill chunk.
        batch_invariant_positions: Number of leading positions at which decoded tokens have the
            same KV entries as prefilled ones.
    """

    def __init__(
        self,
        rule: Rule,
        sequences: int,
        context: int,
        max_chunk: int = 512,
        batch_invariant_positions: int = 0,
    ) -> None:
        self._rule = rule
        self._context = context
        self._max_chunk = max_chunk
        self.batch_invariant_positions = batch_invariant_positions
        self._held: list[list[int]] = [[] for _ in range(sequences)]
        self._computed: list[list[tuple[bool, int | None]]] = [[] for _ in range(sequences)]
        self._given: list[Logits] = []
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.before: Callable[[Call], None] = lambda _call: None
        self.adapters: list[int] = []
        self.opens = 0
        self.closed = False

    def prefill(
        self, slot: SlotId, tokens: Tokens, position: int, output: bool, adapter: int | None
    ) -> Logits | None:
        ids = [int(token) for token in tokens]
        self._begin(Call("prefill", (slot,), tuple(ids), position, adapter))
        alone = position == 0 and output and len(ids) == 1
        self._must(alone or 2 <= len(ids) <= self._max_chunk, f"a chunk of {len(ids)} tokens")
        self._must(
            all(computed in ((False, adapter), (False, _ANY)) for computed in self._computed[slot]),
            f"a prompt continues {self._computed[slot]}",
        )
        self._append(slot, ids, position, (alone, adapter))
        return self._give(self._logits(slot)) if output else None

    def extend(
        self, slot: SlotId, tokens: Tokens, position: int, outputs: bool, adapter: int | None
    ) -> Sequence[Logits] | None:
        ids = [int(token) for token in tokens]
        self._begin(Call("extend", (slot,), tuple(ids), position, adapter))
        self._must(MIN_RUN <= len(ids) <= MAX_RUN, f"{len(ids)} tokens at once")
        rows = []
        for number, token in enumerate(ids):
            at = position + number
            self._append(slot, [token], at, (at >= self.batch_invariant_positions, adapter))
            rows.append(self._logits(slot))
        return list(self._give(np.stack(rows))) if outputs else None

    def decode(
        self,
        slots: Sequence[SlotId],
        tokens: Sequence[int],
        positions: Sequence[int],
        adapter: int | None,
    ) -> Sequence[Logits]:
        self._begin(Call("decode", tuple(slots), tuple(tokens), adapter=adapter))
        self._must(len(set(slots)) == len(slots) > 0, f"slots {slots} in a batch")
        for slot, token, position in zip(slots, tokens, positions, strict=True):
            self._append(
                slot, [token], position, (position >= self.batch_invariant_positions, adapter)
            )
        return list(self._give(np.stack([self._logits(slot) for slot in slots])))

    def copy(self, source: SlotId, target: SlotId) -> None:
        self._begin(Call("copy", (source, target)))
        self._must(source != target, f"a copy of {source} to itself")
        self._held[target] = list(self._held[source])
        self._computed[target] = list(self._computed[source])

    def truncate(self, slot: SlotId, length: int) -> None:
        self._begin(Call("truncate", (slot,), position=length))
        del self._held[slot][length:]
        del self._computed[slot][length:]
        if length:
            self._must(len(self._held[slot]) == length, "the prompt is not there to be kept")

    @property
    def block_format(self) -> BlockFormat | None:
        return BlockFormat(BLOCK_TOKENS * _STATE.itemsize, b"scripted")

    def save(self, slot: SlotId) -> SavedBlocks:
        self._begin(Call("save", (slot,)))
        tokens, computed, count = self._held[slot], self._computed[slot], len(self.calls)

        def block(index: int) -> Block:
            self._must(len(self.calls) == count, "a saved sequence is used after another call")
            part = slice(index * BLOCK_TOKENS, (index + 1) * BLOCK_TOKENS)
            self._must(len(tokens[part]) == BLOCK_TOKENS, f"block {index} of {len(tokens)} tokens")
            self._must(not any(alone for alone, _ in computed[part]), f"block {index} was decoded")
            return np.array(tokens[part], _STATE).view(np.uint8)

        return block

    def restore(self, slot: SlotId, blocks: Sequence[Block]) -> None:
        self._begin(Call("restore", (slot,), position=BLOCK_TOKENS * len(blocks)))
        self._held[slot] = np.concatenate(blocks).view(_STATE).tolist()
        self._must(0 < len(self._held[slot]) <= self._context, f"{len(blocks)} blocks")
        self._computed[slot] = [(False, _ANY)] * len(self._held[slot])

    def load_adapter(self, path: Path) -> int:
        self._begin(Call("load_adapter", ()))
        if not path.name:
            raise AdapterError("no adapter")
        self.adapters.append(len(self.adapters) + 1)
        return self.adapters[-1]

    def free_adapter(self, adapter: int) -> None:
        self._begin(Call("free_adapter", (), adapter=adapter))
        self.adapters.remove(adapter)

    def close(self) -> None:
        self._begin(Call("close", ()))
        self.closed = True

    def opened(self) -> "ScriptedBackend":
        """Resets and returns itself."""
        self._held = [[] for _ in self._held]
        self._computed = [[] for _ in self._held]
        self.opens += 1
        self.closed = False
        return self

    def named(self, name: str) -> list[Call]:
        """Returns the calls of one kind."""
        return [call for call in self.calls if call.name == name]

    def _begin(self, call: Call) -> None:
        self._must(not self.closed or call.name == "close", f"{call.name} after close")
        known = call.adapter is None or call.adapter in self.adapters
        self._must(known, f"{call.name} with adapter {call.adapter}, which has been freed")
        for array in self._given:
            array.fill(np.nan)
        self._given.clear()
        self.calls.append(call)
        self.before(call)

    def _append(
        self,
        sequence: int,
        tokens: Sequence[int],
        position: int,
        computed: tuple[bool, int | None],
    ) -> None:
        """Appends tokens; `computed` is whether each was decoded alone, and its adapter."""
        held = self._held[sequence]
        self._must(
            position == len(held),
            f"position {position} of sequence {sequence}, which holds {len(held)}",
        )
        held.extend(tokens)
        self._computed[sequence].extend([computed] * len(tokens))
        self._must(len(held) <= self._context, f"sequence {sequence} holds {len(held)} tokens")

    def _logits(self, sequence: int) -> Logits:
        return self._rule(tuple(self._held[sequence])).astype(np.float32)

    def _give(self, logits: Logits) -> Logits:
        self._given.append(logits)
        return logits

    def _must(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.violations.append(otherwise)


class ScriptedGuide:
    """A guide with scripted masks and fast-forward tokens, which records accepted tokens.

    Args:
        ends: Token ids that end the choice.
        masks: Masks by position; a position without a mask allows all tokens.
        forced: Fast-forward tokens by position.
        fails_at: Position at which `accept` raises, or None.
    """

    def __init__(
        self,
        ends: Iterable[int] = (),
        *,
        masks: Mapping[int, NDArray[np.uint32]] | None = None,
        forced: Mapping[int, Sequence[int]] | None = None,
        fails_at: int | None = None,
    ) -> None:
        self._ends = frozenset(ends)
        self._masks = masks or {}
        self._forced = forced or {}
        self._fails_at = fails_at
        self.looks_ahead = bool(self._masks or self._forced)
        self.accepted: list[int] = []

    def mask(self) -> NDArray[np.uint32] | None:
        return self._masks.get(len(self.accepted))

    def fast_forward_tokens(self) -> Sequence[int]:
        return self._forced.get(len(self.accepted), ())

    def accept(self, token_id: int, is_last: bool) -> TokenFindings:
        if len(self.accepted) == self._fails_at:
            raise ValueError("the guide cannot go on")
        self.accepted.append(token_id)
        is_end = token_id in self._ends
        finish: FinishReason | None = "stop" if is_end else "length" if is_last else None
        return TokenFindings(0, (), finish)

    def exhausted(self) -> TokenFindings:
        return TokenFindings(0, (), "stop")


@dataclass(frozen=True)
class ScriptedRules(DecodingRules):
    """Rules from which these guides are made, in order and repeatedly."""

    guides: Iterator[Guide] = field(default_factory=lambda: iter(()), compare=False)


def scripted_guide(rules: DecodingRules) -> Guide:
    """Returns the next guide of scripted rules."""
    assert isinstance(rules, ScriptedRules)
    return next(rules.guides)


@dataclass
class Inbox:
    """Collects the events of one request, and waits for its end.

    Attributes:
        choices: Number of choices of the request.
        steps: Steps of all choices, in order of arrival.
        started: The first event, or None.
        failure: Failure of the engine, or None.
        late: Events that arrived out of order or after the end.
        begun: Set at the first event.
        ended: Set when all choices have ended or the engine has failed.
    """

    choices: int
    steps: list[TokenStep] = field(default_factory=list)
    started: Started | None = None
    failure: EngineError | None = None
    late: list[object] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def __call__(self, event: Event | EngineError) -> None:
        if isinstance(event, Started):
            self._must_be_first(event)
        elif self.ended.is_set():
            self.late.append(event)
        elif isinstance(event, EngineError):
            self.failure = event
            self.ended.set()
        else:
            self.steps += event.steps
            if sum(step.findings.finish is not None for step in self.steps) == self.choices:
                self.ended.set()
        self.begun.set()

    def _must_be_first(self, event: Started) -> None:
        if self.started is not None or self.steps:
            self.late.append(event)
        self.started = event

    def wait(self) -> "Inbox":
        """Waits for the end or the failure of the request."""
        assert self.ended.wait(PATIENCE), "the request did not end"
        return self

    def of(self, choice: int) -> list[TokenStep]:
        """Returns the steps of a choice."""
        return [step for step in self.steps if step.choice == choice]

    def tokens(self, choice: int = 0) -> list[int | None]:
        """Returns the token ids of a choice."""
        return [step.token_id for step in self.of(choice)]

    def output(self, choice: int = 0) -> bytes:
        """Returns the bytes of all output spans of a choice."""
        return b"".join(span.raw for step in self.of(choice) for span in step.findings.spans)

    def finishes(self) -> list[FinishReason | None]:
        """Returns the finish reason of each choice."""
        return [self.of(choice)[-1].findings.finish for choice in range(self.choices)]


@contextmanager
def serving(
    rule: Rule,
    *,
    slots: int = 4,
    step_tokens: int = 8,
    max_chunk_tokens: int = 32,
    max_queue: int = 1024,
    vocabulary: ScriptedVocabulary | None = None,
    make_guide: GuideMaker = scripted_guide,
    batch_invariant_positions: int = 0,
    drafts: bool = True,
    report: Callable[[StepReport], None] = lambda _report: None,
    disk: DiskCache | None = None,
) -> Iterator[tuple[EngineLoop, ScriptedBackend]]:
    """Runs an engine on a scripted backend; fails at the end if the contract was violated."""
    vocabulary = vocabulary or ScriptedVocabulary()
    backend = ScriptedBackend(
        rule, slots, vocabulary.context, max_chunk_tokens, batch_invariant_positions
    )
    plan = EngineConfig(
        slots,
        vocabulary.context,
        step_tokens,
        max_chunk_tokens,
        drafts=drafts,
        max_queue=max_queue,
        max_queue_tokens=1 << 20,
    )
    engine = EngineLoop(backend.opened, make_guide, plan, report, disk)
    try:
        yield engine, backend
    finally:
        engine.close()
    execution = engine._execution
    kept = (execution._running, execution._prompt_logits, len(execution._outbox))
    assert kept == ({}, {}, 0), "the engine keeps state of requests that have ended"
    assert backend.violations == []
    assert backend.closed


def request(
    name: str,
    prompt: Sequence[int],
    *guides: Guide,
    max_tokens: int = 5,
    top_logprobs: int | None = None,
    adapter: str | None = None,
    seed: int = 0,
    temperature: float = 0.0,
    **sampling: Any,
) -> GenerationRequest:
    """Returns a request with one choice per guide, or with one choice that ends by length."""
    guides = guides or (ScriptedGuide(),)
    return GenerationRequest(
        name,
        (TextSegment(tuple(prompt)),),
        tuple(
            SamplingParams(seed + index, temperature, **sampling) for index in range(len(guides))
        ),
        ScriptedRules((), guides=cycle(guides)),
        max_tokens,
        top_logprobs,
        adapter,
    )


def run(engine: EngineLoop, *requests: GenerationRequest) -> list[Inbox]:
    """Submits requests together and waits until all have ended."""
    inboxes = [Inbox(len(request.choices)) for request in requests]
    for request, inbox in zip(requests, inboxes, strict=True):
        engine.submit(request, inbox)
    return [inbox.wait() for inbox in inboxes]


def bitmask(allowed: Iterable[int], size: int) -> NDArray[np.uint32]:
    """Returns a guide's mask that allows only these tokens."""
    mask = np.zeros((size + 31) // 32, np.uint32)
    for token in allowed:
        mask[token // 32] |= np.uint32(1 << (token % 32))
    return mask


def following(size: int) -> Rule:
    """Returns logits that favour the last token plus one, so that a greedy choice counts up."""

    def rule(tokens: tuple[int, ...]) -> Logits:
        logits = np.zeros(size, np.float32)
        logits[(tokens[-1] + 1) % size] = 10.0
        return logits

    return rule


def chaotic(size: int) -> Rule:
    """Returns logits that depend on all previous tokens, so that a wrong history changes them."""

    def rule(tokens: tuple[int, ...]) -> Logits:
        digest = hashlib.blake2b(repr(tokens).encode(), digest_size=8).digest()
        random = np.random.default_rng(int.from_bytes(digest))
        return random.normal(0, 3, size).astype(np.float32)

    return rule


def repeating(size: int, period: int, share: float) -> Rule:
    """Returns logits that mostly favour the token one period earlier, else those of `chaotic`."""
    chaos = chaotic(size)

    def rule(tokens: tuple[int, ...]) -> Logits:
        logits = chaos(tokens)
        if len(tokens) >= period and int(logits.argmax()) < share * size:
            logits[tokens[-period]] += 20.0
        return logits

    return rule
