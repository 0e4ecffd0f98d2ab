"""Carries out what the scheduler decides: prompts, tokens, and what is delivered of them.

It knows tokens and logits, not what they mean: what a choice may do next is its guide's to say.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from friendli_endpoint.engine.core.adapters import Adapter, handle_of
from friendli_endpoint.engine.core.admission import Admission
from friendli_endpoint.engine.core.backend import Backend, Logits, SlotId
from friendli_endpoint.engine.core.decoding import Decoding
from friendli_endpoint.engine.core.outbox import Deliver, Outbox
from friendli_endpoint.engine.core.running import Outcome, Running, attempt
from friendli_endpoint.engine.core.sampling import History
from friendli_endpoint.engine.core.scheduler import Placement, PrefillChunk, Scheduler
from friendli_endpoint.engine.core.sequence import SequenceGroup
from friendli_endpoint.generation import GenerationRequest, GuideMaker, StepReport

__all__ = ["EngineConfig", "Execution"]

log = logging.getLogger("friendli_endpoint.engine")

MOST_TRIES = 2
"""How often a prompt is begun whose prefill makes the backend fail."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How much an engine takes on.

    Attributes:
        slots: How many sequences the backend holds.
        context: Tokens that each of them can hold.
        piece: Most prompt tokens computed between two tokens of a running choice.
        idle_chunk_tokens: Most prompt tokens computed at once.
        min_chunk_tokens: Fewest of them, unless a prompt has fewer.
        drafts: Whether a choice that runs alone may be drafted, where that changes no bit.
        max_queue: Most requests that may wait.
        max_queue_tokens: Most prompt tokens that may wait, all together.
    """

    slots: int
    context: int
    chunk_tokens: int
    idle_chunk_tokens: int
    min_chunk_tokens: int = 2
    drafts: bool = True
    max_queue: int = 1024
    max_queue_tokens: int = 1 << 20


class Execution:
    """The requests in the engine; all calls come from the engine's thread.

    Args:
        backend: Holds the sequences.
        make_guide: Makes the guide of a sequence.
        plan: How much is taken on.
        admission: Is told when a request waits no more.
    """

    def __init__(
        self, backend: Backend, make_guide: GuideMaker, plan: EngineConfig, admission: Admission
    ) -> None:
        self._backend = backend
        self._make_guide = make_guide
        self._plan = plan
        self._scheduler = Scheduler(
            plan.slots,
            plan.chunk_tokens,
            plan.idle_chunk_tokens,
            plan.min_chunk_tokens,
            backend.batch_invariant_positions,
        )
        self._decoding = Decoding(plan.chunk_tokens, plan.drafts)
        self._running: dict[SlotId, Running] = {}
        self._prompt_logits: dict[str, Logits] = {}
        self._retired: list[Adapter] = []
        self._outbox = Outbox(admission)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._scheduler.idle

    def add(
        self,
        request: GenerationRequest,
        adapter: Adapter | None,
        deliver: Deliver,
        submitted: float,
    ) -> None:
        """Takes a request in.

        Args:
            request: What to generate.
            adapter: What the weights are changed by.
            deliver: Takes what comes of it.
            submitted: When it was, in seconds of `monotonic`.
        """
        self._outbox.open(request.request_id, deliver, submitted)
        try:
            tokens = np.array(request.prompt_ids, np.int32)
            self._scheduler.add(SequenceGroup(request, tokens, adapter))
        except Exception as error:
            log.exception("request %s cannot be taken in", request.request_id)
            self._outbox.fail(request, f"the request failed in the engine: {error}")

    def retire(self, adapter: Adapter) -> None:
        """Frees an adapter as soon as no request uses it, and forgets what was computed with it."""
        self._retired.append(adapter)

    def cancel(self, request_id: str) -> None:
        """Takes a request out, if it is still there; nothing more is delivered for it."""
        group = self._scheduler.find(request_id)
        if group is not None:
            self._remove(group)
            self._outbox.close(group.request)

    def step(self) -> tuple[int, int]:
        """One turn; how many choices generated, and how many prompt tokens were computed."""
        step = self._scheduler.schedule()
        prefilled = 0
        for work in step.work:
            if isinstance(work, PrefillChunk):
                self._prefill(work)
                prefilled += len(work.tokens)
            else:
                self._place(work)
        if step.work:
            self._send()
        slots = [slot for slot in step.decode if slot in self._running]
        if slots:
            for slot, outcome in self._decoding.step(self._backend, self._running, slots):
                self._deliver(slot, outcome)
        self._send()
        self._free_adapters()
        return len(slots), prefilled

    def settle(self) -> bool:
        """Computes a piece of what slots would do good to hold; whether there was one."""
        piece = self._scheduler.settle()
        if piece is not None:
            self._prefill(piece)
        return piece is not None

    def restart(self, fault: Exception, open_backend: Callable[[], Backend]) -> None:
        """Opens the backend anew: running choices fail, prompts are tried once more.

        Raises:
            Exception: What `open_backend` raises.
        """
        lost = [
            group
            for group in self._scheduler.groups()
            if group.has_output or group.tries >= MOST_TRIES
        ]
        self._fail(lost, f"the engine failed: {fault}")
        self._scheduler.restart()
        self._backend.close()
        self._backend = open_backend()

    def load_adapter(self, route: str, path: Path) -> Adapter:
        """Has the backend read an adapter.

        Raises:
            AdapterError: The file is not an adapter for the model.
        """
        return Adapter(route, self._backend.load_adapter(path))

    def end(self, message: str) -> None:
        """Fails all requests and frees the backend; nothing can be done after that."""
        self._running.clear()
        self._prompt_logits.clear()
        self._outbox.end(message)
        self._decoding.close()
        self._backend.close()

    def report(self, seconds: float, decoded: int, prefilled: int) -> StepReport:
        """What there is after a turn, and what was drafted since the last report."""
        drafted, accepted = self._decoding.count_drafts()
        queued = self._scheduler.queued
        generated = sum(len(running.tokens) for running in self._running.values())
        return StepReport(
            seconds=seconds,
            decoded=decoded,
            prefilled=prefilled,
            running=len(self._running),
            queued=len(queued),
            held_tokens=self._scheduler.held_tokens + generated,
            capacity_tokens=self._plan.slots * self._plan.context,
            drafted=drafted,
            accepted=accepted,
        )

    def _prefill(self, piece: PrefillChunk) -> None:
        group = piece.group
        if piece.source is not None:
            self._backend.copy(piece.source, piece.slot)
        self._backend.truncate(piece.slot, piece.start)
        if group is not None:
            self._outbox.begin(group.request)
        wanted = group is not None and piece.last
        adapter = handle_of(piece.adapter)
        logits = self._backend.prefill(piece.slot, piece.tokens, piece.start, wanted, adapter)
        if group is not None and logits is not None:
            request_id = group.request.request_id
            self._prompt_logits[request_id] = logits.copy()
            self._outbox.start(request_id, group.cached)

    def _place(self, placement: Placement) -> None:
        sequence, slot = placement.sequence, placement.slot
        group = sequence.group
        if placement.source is not None:
            self._backend.copy(placement.source, slot)
        self._backend.truncate(slot, group.tokens.size)
        if group.request.request_id not in self._outbox:
            return  # a sibling has failed it; the slot holds the prompt, as the scheduler knows
        logits = self._prompt_logits[group.request.request_id]
        if sequence is group.sequences[-1]:
            del self._prompt_logits[group.request.request_id]
        group.has_output = True
        try:
            guide = self._make_guide(group.request.rules)
        except Exception as fault:
            self._fail_in_engine(group, fault)
            return
        sampling = group.request.choices[sequence.choice]
        history = History(sampling, group.tokens, logits.size)
        running = Running(sequence, guide, history, self._plan.context)
        self._running[slot] = running
        self._deliver(slot, attempt(running.take, [logits]))

    def _deliver(self, slot: SlotId, outcome: Outcome) -> None:
        """Hands out what a choice has taken; a fault in it fails its request alone."""
        running = self._running[slot]
        group = running.sequence.group
        if isinstance(outcome, Exception):
            self._fail_in_engine(group, outcome)
            return
        self._outbox.put(group.request.request_id, outcome)
        if outcome[-1].findings.finish is not None:
            del self._running[slot]
            self._scheduler.finish(running.sequence, running.tokens)

    def _send(self) -> None:
        """Sends what is there; requests that cannot be told are taken out."""
        for request_id in self._outbox.send(self._goes_on):
            group = self._scheduler.find(request_id)
            if group is not None:
                self._remove(group)

    def _goes_on(self, request_id: str) -> bool:
        return self._scheduler.find(request_id) is not None

    def _free_adapters(self) -> None:
        used = {group.adapter for group in self._scheduler.groups()} if self._retired else ()
        unused = [adapter for adapter in self._retired if adapter not in used]
        for adapter in unused:
            self._retired.remove(adapter)
            self._scheduler.drop(adapter)
            try:
                self._backend.free_adapter(adapter.handle)
            except Exception:
                log.exception("the adapter %s cannot be freed", adapter.route)

    def _remove(self, group: SequenceGroup) -> None:
        """Takes a request out."""
        for sequence in group.sequences:
            if sequence.slot is not None:
                self._running.pop(sequence.slot.number, None)
        self._scheduler.remove(group)
        self._prompt_logits.pop(group.request.request_id, None)

    def _fail_in_engine(self, group: SequenceGroup, fault: Exception) -> None:
        log.error("request %s failed", group.request.request_id, exc_info=fault)
        self._fail([group], f"the request failed in the engine: {fault}")

    def _fail(self, groups: Iterable[SequenceGroup], message: str) -> None:
        for group in groups:
            self._remove(group)
            self._outbox.fail(group.request, message)
