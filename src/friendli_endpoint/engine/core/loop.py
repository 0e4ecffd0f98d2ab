"""Engine loop: the one thread that generates tokens; other threads send it messages.

The thread owns the backend, reopens it when it fails, and prefills outputs for later prompts when
it is idle. No request waits forever after an error: an error fails the requests that it affects,
and if the backend cannot be reopened, the thread ends, every request fails, and new ones are
rejected.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from time import monotonic
from typing import TypeVar

from friendli_endpoint.engine.core.adapters import Adapter, Adapters
from friendli_endpoint.engine.core.admission import Admission, Demand
from friendli_endpoint.engine.core.backend import AdapterError, Backend
from friendli_endpoint.engine.core.disk.store import DiskCache
from friendli_endpoint.engine.core.execution import EngineConfig, Execution
from friendli_endpoint.engine.core.outbox import Deliver, wake_all
from friendli_endpoint.files import digest_of_file
from friendli_endpoint.generation import (
    VERSION,
    EngineError,
    GenerationRequest,
    GuideMaker,
    RequestError,
    StepReport,
    TextSegment,
    draining_error,
    reason_of,
)

__all__ = ["EngineLoop"]

log = logging.getLogger("friendli_endpoint.engine")

IDLE_SECONDS = 0.25
"""Seconds without a message after which the engine prefills outputs for later prompts, and stores
prefixes on disk."""

CLOSE_SECONDS = 10.0
"""Maximum number of seconds that `close` waits for the current step."""

T = TypeVar("T")


class EngineLoop:
    """Engine that runs on a thread of its own; any thread may call its methods.

    Args:
        open_backend: Opens the backend; called on the engine's thread, and again after the backend
            has failed. The same thread closes the backend. (If another thread had computed before,
            OpenMP would count more threads than processors, and let them sleep between any two of
            thousands of operations.)
        make_guide: Creates the guide of a choice; called on the engine's thread.
        config: The limits of the engine.
        report: Called after every step, on the engine's thread; must not block or raise.
        disk: The prefix cache on disk; None for none.

    Raises:
        Exception: Any exception of `open_backend`.
    """

    _execution: Execution
    _progressed: float | None = None
    """Time of the last progress, in seconds of `monotonic`; None while there is no work."""

    def __init__(
        self,
        open_backend: Callable[[], Backend],
        make_guide: GuideMaker,
        config: EngineConfig,
        report: Callable[[StepReport], None] = lambda _report: None,
        disk: DiskCache | None = None,
    ) -> None:
        self._open_backend = open_backend
        self._make_guide = make_guide
        self._report = report
        self._admission = Admission(
            config.max_queue, config.max_queue_tokens, config.max_queue_bytes, config.max_memory
        )
        self._config = config
        self._disk = disk
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._adapters = Adapters()
        self._closing = False
        self._broken: str | None = None
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=[opened], name="engine", daemon=True)
        self._thread.start()
        opened.result()

    @property
    def adapters(self) -> tuple[str, ...]:
        """Routes of the loaded adapters."""
        with self._lock:
            return self._adapters.routes

    @property
    def is_alive(self) -> bool:
        """Whether requests can still be served, now or once the current step has ended."""
        return self._thread.is_alive() and self._broken is None

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the last step, while there is work; 0 while there is none."""
        progressed = self._progressed
        return 0.0 if progressed is None else monotonic() - progressed

    def submit(self, request: GenerationRequest, deliver: Deliver) -> None:
        """Adds a request to the queue.

        Args:
            request: The request.
            deliver: Receives its events, on the engine's thread.

        Raises:
            RequestError: The engine is closing or broken, the queue is full, there is no such
                adapter, or the version or the media of the request are not supported.
        """
        submitted = monotonic()
        _check_supported(request)
        with self._lock:
            self._check_open()
            adapter = self._adapters.find(request.adapter)
            self._admission.enter(Demand.of(request), resumed=request.resumed)
            self._inbox.put(lambda: self._add(request, adapter, deliver, submitted))

    def cancel(self, request_id: str) -> None:
        """Removes a request within one step; no more events are delivered for it after that."""
        with self._lock:
            if not self._closing:
                self._inbox.put(lambda: self._execution.cancel(request_id))

    def load_adapter(self, route: str, path: Path) -> None:
        """Loads an adapter; it replaces a loaded adapter of the same route.

        Args:
            route: Name by which requests select the adapter.
            path: A LoRA for the model, as a GGUF file.

        Raises:
            AdapterError: The file is not an adapter for this model.
            RequestError: The engine is closing.
        """
        digest = b"" if self._disk is None else _digest_of_adapter(path)

        def load() -> None:
            adapter = self._execution.load_adapter(route, path, digest)
            with self._lock:
                replaced = self._adapters.add(adapter)
                if replaced is not None:
                    self._retire(replaced)

        self._call(load)

    def unload_adapter(self, route: str) -> None:
        """Removes an adapter; requests that use it run to their end.

        Raises:
            RequestError: The adapter does not exist, or the engine is closing.
        """
        with self._lock:
            self._check_open()
            self._retire(self._adapters.remove(route))

    def close(self) -> None:
        """Stops after the current step and closes the backend; unfinished requests fail.

        If the step does not end within `CLOSE_SECONDS`, the thread is abandoned with its resources.
        """
        with self._lock:
            if not self._closing:
                self._closing = True
                self._inbox.put(lambda: None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.error("the engine is abandoned: its step takes more than %g s", CLOSE_SECONDS)

    def _add(
        self,
        request: GenerationRequest,
        adapter: Adapter | None,
        deliver: Deliver,
        submitted: float,
    ) -> None:
        """Adds a request on the engine's thread; an exception fails this request alone."""
        try:
            self._execution.add(request, adapter, deliver, submitted)
        except Exception as error:
            log.exception("request %s could not be added", request.request_id)
            self._admission.leave(Demand.of(request))
            message = f"the request failed in the engine: {reason_of(error)}"
            wake_all([deliver(EngineError(message))])

    def _retire(self, adapter: Adapter) -> None:
        """Makes the engine free an adapter when its last request ends; called with the lock held.

        Requests that use the adapter are in the inbox before this message, so the engine knows them
        when it reads the message.
        """
        self._inbox.put(lambda: self._execution.retire(adapter))

    def _check_open(self) -> None:
        if self._closing:
            raise draining_error()
        if self._broken is not None:
            raise RequestError(self._broken, status=503, code="engine_failure")

    def _call(self, work: Callable[[], T]) -> T:
        """Calls a function on the engine's thread, and waits for its result."""
        result: Future[T] = Future()

        def run() -> None:
            try:
                self._check_open()
                result.set_result(work())
            except BaseException as error:
                result.set_exception(error)

        with self._lock:
            self._check_open()
            self._inbox.put(run)
        return result.result()

    def _run(self, opened: Future[None]) -> None:
        try:
            backend = self._open_backend()
        except BaseException as error:
            opened.set_exception(error)
            return
        self._execution = Execution(
            backend, self._make_guide, self._config, self._admission, self._disk
        )
        opened.set_result(None)
        try:
            while not self._closing:
                try:
                    self._step()
                except Exception as fault:
                    log.exception("the engine failed")
                    self._recover(fault)
        except BaseException as fault:
            log.exception("the engine cannot continue")
            with self._lock:
                self._broken = f"the engine failed and cannot be started again: {reason_of(fault)}"
        finally:
            self._shut_down()

    def _step(self) -> None:
        """Waits for work, and executes a step."""
        if self._execution.idle:
            self._wait()
        self._take_messages()
        begun = monotonic()
        decoded, prefilled = self._execution.step()
        if decoded or prefilled:
            self._progressed = monotonic()
            self._report_step(self._progressed - begun, decoded, prefilled)

    def _wait(self) -> None:
        """Waits for a message; if none comes for a while, works for later prompts."""
        done = False
        while True:
            self._progressed = None
            try:
                message = self._inbox.get(timeout=None if done else IDLE_SECONDS)
            except queue.Empty:
                self._prefill_idle()
                done = self._store_idle() and self._inbox.empty()
            else:
                self._progressed = monotonic()
                message()
                return

    def _prefill_idle(self) -> None:
        """Prefills outputs of finished requests, until a message comes."""
        self._progressed = monotonic()
        while self._inbox.empty() and self._execution.prefill_idle():
            self._progressed = monotonic()

    def _store_idle(self) -> bool:
        """Stores prefixes on disk, until a message comes; returns whether all are stored."""

        def is_interrupted() -> bool:
            self._progressed = monotonic()
            return not self._inbox.empty()

        return self._execution.store_prefixes(is_interrupted)

    def _take_messages(self) -> None:
        while not self._inbox.empty():
            self._inbox.get_nowait()()

    def _report_step(self, seconds: float, decoded: int, prefilled: int) -> None:
        """Reports a step; an exception of the callback fails no request."""
        try:
            self._report(self._execution.report(seconds, decoded, prefilled))
        except Exception:
            log.exception("a step could not be reported")

    def _recover(self, fault: Exception) -> None:
        """Reopens the backend after a failure.

        Raises:
            Exception: The backend cannot be opened.
        """
        self._progressed = None  # opening may take long, and is not a stall
        self._execution.restart(fault, self._open_backend)
        self._progressed = monotonic()

    def _shut_down(self) -> None:
        """Fails all requests and closes the backend; no more messages arrive."""
        self._progressed = None
        message = self._broken or draining_error().message
        while not self._inbox.empty():
            try:
                self._inbox.get_nowait()()
            except Exception:
                log.exception("a message to the engine failed")
        try:
            self._execution.close(message, is_closing=self._broken is None)
        except Exception:
            log.exception("the backend could not be closed")


def _digest_of_adapter(path: Path) -> bytes:
    """Returns the digest of a file.

    Raises:
        AdapterError: The file cannot be read.
    """
    try:
        return digest_of_file(path)
    except OSError as error:
        raise AdapterError(f"cannot read {path}: {reason_of(error)}") from error


def _check_supported(request: GenerationRequest) -> None:
    if request.version != VERSION:
        raise RequestError(
            f"`version` must be {VERSION}, got {request.version}",
            status=500,
            code="wrong_version",
        )
    if not all(isinstance(segment, TextSegment) for segment in request.prompt):
        raise RequestError(
            "this model takes text only", param="messages", code="unsupported_content"
        )
