"""Execution of the scheduler's steps on a backend, and delivery of the generated tokens.

It handles tokens and logits, not their meaning, which is left to the guides.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from friendli_endpoint.engine.core.adapters import Adapter, handle_of
from friendli_endpoint.engine.core.admission import Admission
from friendli_endpoint.engine.core.backend import Backend, Logits, SlotId
from friendli_endpoint.engine.core.decoding import Decoding
from friendli_endpoint.engine.core.disk.store import DiskCache
from friendli_endpoint.engine.core.outbox import Deliver, Outbox
from friendli_endpoint.engine.core.running import Outcome, RunningSequence, attempt
from friendli_endpoint.engine.core.sampling import History
from friendli_endpoint.engine.core.scheduler import Placement, PrefillChunk, Scheduler
from friendli_endpoint.engine.core.sequence import SequenceGroup
from friendli_endpoint.engine.core.stored_prefixes import StoredPrefixes
from friendli_endpoint.generation import GenerationRequest, GuideMaker, StepReport, reason_of

__all__ = ["EngineConfig", "Execution"]

log = logging.getLogger("friendli_endpoint.engine")

MAX_ATTEMPTS = 2
"""Maximum number of attempts to prefill a prompt while the backend fails."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Limits of an engine.

    Attributes:
        slots: Number of slots of the backend, which is the maximum number of running choices.
        context: Maximum number of tokens of a sequence.
        step_tokens: Maximum number of tokens of a step, those of prompts and of running choices
            together, while choices are running and prompts are not behind; see `ChunkPolicy`.
        max_chunk_tokens: Maximum number of prompt tokens that are prefilled in a step.
        min_chunk_tokens: Minimum number of tokens of a chunk, unless the prompt is shorter.
        drafts: Whether to draft for a choice that runs alone, where that does not change a bit.
        max_queue: Maximum number of queued requests.
        max_queue_tokens: Maximum number of prompt tokens of all queued requests together.
        max_queue_bytes: Maximum estimated memory of all queued requests together, in bytes.
        max_memory: Memory of the process in bytes, without mapped files, from which on no request
            is queued; None for any.
    """

    slots: int
    context: int
    step_tokens: int
    max_chunk_tokens: int
    min_chunk_tokens: int = 2
    drafts: bool = True
    max_queue: int = 1024
    max_queue_tokens: int = 1 << 20
    max_queue_bytes: int = 1 << 30
    max_memory: int | None = None


class Execution:
    """Requests in the engine and their execution; all calls come from the engine's thread.

    Args:
        backend: The backend.
        make_guide: Creates the guide of a choice.
        config: The limits of the engine.
        admission: The queue's counts, updated when a request leaves the queue.
        disk: The prefix cache on disk; None for none.
    """

    def __init__(
        self,
        backend: Backend,
        make_guide: GuideMaker,
        config: EngineConfig,
        admission: Admission,
        disk: DiskCache | None = None,
    ) -> None:
        self._backend = backend
        self._make_guide = make_guide
        self._config = config
        self._stored = StoredPrefixes(disk, backend.block_format)
        self._scheduler = Scheduler(
            config.slots,
            config.step_tokens,
            config.max_chunk_tokens,
            config.min_chunk_tokens,
            backend.batch_invariant_positions,
            self._stored.find,
        )
        self._decoding = Decoding(config.step_tokens, config.drafts)
        self._running: dict[SlotId, RunningSequence] = {}
        self._prompt_logits: dict[str, Logits] = {}
        self._retired: list[Adapter] = []
        self._outbox = Outbox(admission)

    @property
    def idle(self) -> bool:
        """Whether there are no requests."""
        return self._scheduler.idle

    def add(
        self,
        request: GenerationRequest,
        adapter: Adapter | None,
        deliver: Deliver,
        submitted: float,
    ) -> None:
        """Adds a request to the queue.

        Args:
            request: The request.
            adapter: Its adapter, or None for the base model.
            deliver: Receives its events.
            submitted: Time of its submission, in seconds of `monotonic`.

        Raises:
            Exception: The request cannot be added, and nothing is delivered for it.
        """
        tokens = np.array(request.prompt_ids, np.int32)
        group = SequenceGroup(request, tokens, adapter)
        self._outbox.open(request.request_id, deliver, submitted)
        self._scheduler.add(group)

    def retire(self, adapter: Adapter) -> None:
        """Frees an adapter and drops its cached prefixes, as soon as no request uses it."""
        self._retired.append(adapter)

    def cancel(self, request_id: str) -> None:
        """Removes a request, if it is still in the engine; nothing more is delivered for it."""
        group = self._scheduler.find(request_id)
        if group is not None:
            self._remove(group)
            self._outbox.close(group.request)

    def step(self) -> tuple[int, int]:
        """Executes one step.

        Returns:
            The number of choices that decoded, and of prompt tokens that were computed.
        """
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

    def prefill_idle(self) -> bool:
        """Prefills a chunk of the output of a finished request; returns whether there was one."""
        chunk = self._scheduler.schedule_idle()
        if chunk is not None:
            self._prefill(chunk)
        return chunk is not None

    def store_prefixes(self, is_interrupted: Callable[[], bool]) -> bool:
        """Stores the cached prefixes on disk.

        Args:
            is_interrupted: Whether to stop, asked before every block.

        Returns:
            Whether there are none left to be stored.
        """
        return self._stored.store(self._backend, self._scheduler.not_stored(), is_interrupted)

    def restart(self, fault: Exception, open_backend: Callable[[], Backend]) -> None:
        """Replaces the backend after a failure.

        Requests with output fail. Prompts are prefilled again, unless that was tried `MAX_ATTEMPTS`
        times.

        Args:
            fault: The exception of the backend.
            open_backend: Opens the new backend.

        Raises:
            Exception: Any exception of `open_backend`, or of closing the old backend.
        """
        lost = [
            group
            for group in self._scheduler.groups()
            if group.has_output or group.num_attempts >= MAX_ATTEMPTS
        ]
        self._fail(lost, f"the engine failed: {reason_of(fault)}")
        self._scheduler.restart()
        self._backend.close()
        self._backend = open_backend()

    def load_adapter(self, route: str, path: Path, digest: bytes) -> Adapter:
        """Loads an adapter, whose content has this digest, into the backend.

        Raises:
            AdapterError: The file is not an adapter for the model.
        """
        return Adapter(route, self._backend.load_adapter(path), digest)

    def close(self, message: str, *, is_closing: bool) -> None:
        """Fails all requests with a message, and closes the backend; see `EngineError`.

        Cached prefixes are stored on disk before, unless the backend has failed.
        """
        self._running.clear()
        self._prompt_logits.clear()
        self._outbox.fail_all(message, is_closing=is_closing)
        self._decoding.close()
        with contextlib.closing(self._backend):
            if is_closing:
                self._stored.store_last(self._backend, self._scheduler.not_stored())

    def report(self, seconds: float, decoded: int, prefilled: int) -> StepReport:
        """Returns the report of a step, and resets the counts of drafts and of bytes on disk."""
        disk_tokens, disk_read_bytes, disk_written_bytes = self._stored.take_counts()
        drafted, accepted = self._decoding.take_draft_counts()
        queued = self._scheduler.queued
        generated = sum(len(running.tokens) for running in self._running.values())
        return StepReport(
            seconds=seconds,
            decoded=decoded,
            prefilled=prefilled,
            running=len(self._running),
            queued=len(queued),
            kv_cache_tokens=self._scheduler.num_computed_tokens + generated,
            capacity_tokens=self._config.slots * self._config.context,
            drafted=drafted,
            accepted=accepted,
            disk_tokens=disk_tokens,
            disk_read_bytes=disk_read_bytes,
            disk_written_bytes=disk_written_bytes,
        )

    def _prefill(self, chunk: PrefillChunk) -> None:
        group = chunk.group
        if chunk.source is not None:
            self._backend.copy(chunk.source, chunk.slot)
        if chunk.stored is not None:
            self._stored.restore(self._backend, chunk.slot, chunk.stored)
        self._backend.truncate(chunk.slot, chunk.start)
        if group is not None:
            self._outbox.begin(group.request)
        output = group is not None and chunk.is_last
        adapter = handle_of(chunk.adapter)
        logits = self._backend.prefill(chunk.slot, chunk.tokens, chunk.start, output, adapter)
        if group is not None and logits is not None:
            request_id = group.request.request_id
            self._prompt_logits[request_id] = logits.copy()
            self._outbox.start(request_id, group.num_cached_tokens)

    def _place(self, placement: Placement) -> None:
        sequence, slot = placement.sequence, placement.slot
        group = sequence.group
        if placement.source is not None:
            self._backend.copy(placement.source, slot)
        self._backend.truncate(slot, group.tokens.size)
        if group.request.request_id not in self._outbox:
            return  # another choice failed; the slot now has the prompt, as the scheduler assumes
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
        running = RunningSequence(sequence, guide, history, self._config.context)
        self._running[slot] = running
        self._decoding.query_guides([running])
        self._deliver(slot, attempt(running.sample_tokens, [logits]))

    def _deliver(self, slot: SlotId, outcome: Outcome) -> None:
        """Adds the tokens of a choice to its delivery; an exception fails its request alone."""
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
        """Delivers all pending steps, and removes requests whose delivery failed."""
        for request_id in self._outbox.send(self._is_active):
            group = self._scheduler.find(request_id)
            if group is not None:
                self._remove(group)

    def _is_active(self, request_id: str) -> bool:
        return self._scheduler.find(request_id) is not None

    def _free_adapters(self) -> None:
        used = {group.adapter for group in self._scheduler.groups()} if self._retired else ()
        unused = [adapter for adapter in self._retired if adapter not in used]
        for adapter in unused:
            self._retired.remove(adapter)
            self._scheduler.drop_adapter(adapter)
            try:
                self._backend.free_adapter(adapter.handle)
            except Exception:
                log.exception("adapter %s could not be freed", adapter.route)

    def _remove(self, group: SequenceGroup) -> None:
        """Removes a request from the scheduler and the running choices."""
        for sequence in group.sequences:
            if sequence.slot is not None:
                self._running.pop(sequence.slot.number, None)
        self._scheduler.remove(group)
        self._prompt_logits.pop(group.request.request_id, None)

    def _fail_in_engine(self, group: SequenceGroup, fault: Exception) -> None:
        log.error("request %s failed", group.request.request_id, exc_info=fault)
        self._fail([group], f"the request failed in the engine: {reason_of(fault)}")

    def _fail(self, groups: Iterable[SequenceGroup], message: str) -> None:
        for group in groups:
            self._remove(group)
            self._outbox.fail(group.request, message)
