"""One thread that turns requests into tokens; everybody else talks to it through its inbox.

It owns the backend, opens it anew when it fails, and works ahead when nothing is asked of it.
Whatever goes wrong in it, nobody waits in vain: a fault costs the requests that it touches, and
where the backend cannot be opened again the thread ends, every request fails, and no more are
taken.
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
from friendli_endpoint.engine.core.admission import Admission
from friendli_endpoint.engine.core.backend import Backend
from friendli_endpoint.engine.core.execution import EngineConfig, Execution
from friendli_endpoint.engine.core.outbox import Deliver
from friendli_endpoint.generation import (
    VERSION,
    GenerationRequest,
    GuideMaker,
    RequestError,
    StepReport,
    TextSegment,
)

__all__ = ["EngineLoop"]

log = logging.getLogger("friendli_endpoint.engine")

IDLE_SECONDS = 0.25
"""How long nothing must happen before the engine works for prompts to come."""

CLOSE_SECONDS = 10.0
"""How long `close` waits for the current step."""

T = TypeVar("T")


class EngineLoop:
    """Generates over a backend, on a thread of its own.

    Args:
        open_backend: Makes what holds the sequences; called by the engine's thread, and again when
            it has failed. Closed with the engine, by the same thread. (Where another thread has
            computed before, OpenMP counts more threads than there are processors, and lets them
            sleep between any two of thousands of operations.)
        make_guide: Makes the guide of a choice, on the engine's thread.
        plan: How much it takes on.
        report: Called with every turn, on the engine's thread; must not block or raise.

    Raises:
        Exception: What `open_backend` raises.
    """

    _execution: Execution
    _progressed: float | None = None
    """When the last step was made, in seconds of `monotonic`; None while there is no work."""

    def __init__(
        self,
        open_backend: Callable[[], Backend],
        make_guide: GuideMaker,
        plan: EngineConfig,
        report: Callable[[StepReport], None] = lambda _report: None,
    ) -> None:
        self._open_backend = open_backend
        self._make_guide = make_guide
        self._report = report
        self._admission = Admission(plan.max_queue, plan.max_queue_tokens)
        self._plan = plan
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._adapters = Adapters()
        self._closing = False
        self._broken: str | None = None
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=[opened], name="engine", daemon=True)
        self._thread.start()
        opened.result()

    @property
    def adapters(self) -> tuple[str, ...]:
        """Routes of the adapters that requests may name."""
        with self._gate:
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
        """Queues a request.

        Args:
            request: What to generate.
            deliver: Takes what comes of it, on the engine's thread.

        Raises:
            RequestError: The engine is closing or broken, too much waits, there is no such
            adapter, or
                the request is of a form that this engine does not take.
        """
        submitted = monotonic()
        _check_form(request)
        with self._gate:
            self._check_open()
            adapter = self._adapters.find(request.adapter)
            self._admission.enter(request.num_prompt_tokens)
            self._inbox.put(lambda: self._execution.add(request, adapter, deliver, submitted))

    def cancel(self, request_id: str) -> None:
        """Ends a request within one step; nothing more is delivered for it."""
        with self._gate:
            if not self._closing:
                self._inbox.put(lambda: self._execution.cancel(request_id))

    def load_adapter(self, route: str, path: Path) -> None:
        """Makes an adapter known under a route, in the place of one that had it.

        Args:
            route: What requests will call it.
            path: A LoRA for the model, as a GGUF file.

        Raises:
            AdapterError: The file is not an adapter for this model.
            RequestError: The engine is closing.
        """

        def load() -> None:
            adapter = self._execution.load_adapter(route, path)
            with self._gate:
                replaced = self._adapters.add(adapter)
                if replaced is not None:
                    self._retire(replaced)

        self._ask(load)

    def unload_adapter(self, route: str) -> None:
        """Takes an adapter away; what uses it runs on to its end.

        Raises:
            RequestError: There is none, or the engine is closing.
        """
        with self._gate:
            self._check_open()
            self._retire(self._adapters.remove(route))

    def close(self) -> None:
        """Stops after the current step and frees the backend; unfinished requests fail.

        A step that does not end is left behind with all that it uses.
        """
        with self._gate:
            if not self._closing:
                self._closing = True
                self._inbox.put(lambda: None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.error("the engine is left behind: its step takes more than %g s", CLOSE_SECONDS)

    def _retire(self, adapter: Adapter) -> None:
        """Has an adapter freed when its last request ends; called under the gate.

        Requests that found it are in the inbox before this message, so they are known when it is
        read.
        """
        self._inbox.put(lambda: self._execution.retire(adapter))

    def _check_open(self) -> None:
        if self._closing:
            raise RequestError(
                "the endpoint is shutting down", status=503, code="draining", retry_after=1
            )
        if self._broken is not None:
            raise RequestError(self._broken, status=503, code="engine_failure")

    def _ask(self, work: Callable[[], T]) -> T:
        """Has work done on the engine's thread, and waits for it."""
        answer: Future[T] = Future()

        def do() -> None:
            try:
                self._check_open()
                answer.set_result(work())
            except BaseException as error:
                answer.set_exception(error)

        with self._gate:
            self._check_open()
            self._inbox.put(do)
        return answer.result()

    def _run(self, opened: Future[None]) -> None:
        try:
            backend = self._open_backend()
        except BaseException as error:
            opened.set_exception(error)
            return
        self._execution = Execution(backend, self._make_guide, self._plan, self._admission)
        opened.set_result(None)
        try:
            while not self._closing:
                try:
                    self._turn()
                except Exception as fault:
                    log.exception("the engine failed")
                    self._recover(fault)
        except BaseException as fault:
            log.exception("the engine cannot go on")
            with self._gate:
                self._broken = f"the engine failed and cannot be started again: {fault}"
        finally:
            self._end()

    def _turn(self) -> None:
        """Waits for work, and does a step of it."""
        if self._execution.idle:
            self._rest()
        self._take_messages()
        begun = monotonic()
        decoded, prefilled = self._execution.step()
        if decoded or prefilled:
            self._progressed = monotonic()
            self._tell(self._progressed - begun, decoded, prefilled)

    def _rest(self) -> None:
        """Waits for a message; when none comes for a while, works for prompts to come."""
        settled = False
        while True:
            self._progressed = None
            try:
                message = self._inbox.get(timeout=None if settled else IDLE_SECONDS)
            except queue.Empty:
                self._settle()
                settled = self._inbox.empty()
            else:
                self._progressed = monotonic()
                message()
                return

    def _settle(self) -> None:
        """Computes what would do good to hold, until a message comes."""
        self._progressed = monotonic()
        while self._inbox.empty() and self._execution.settle():
            self._progressed = monotonic()

    def _take_messages(self) -> None:
        while not self._inbox.empty():
            self._inbox.get_nowait()()

    def _tell(self, seconds: float, decoded: int, prefilled: int) -> None:
        """Reports a step; a fault in that costs no request."""
        try:
            self._report(self._execution.report(seconds, decoded, prefilled))
        except Exception:
            log.exception("a step cannot be reported")

    def _recover(self, fault: Exception) -> None:
        """Opens the backend anew.

        Raises:
            Exception: It cannot be opened.
        """
        self._progressed = None  # opening takes the time it takes
        self._execution.restart(fault, self._open_backend)
        self._progressed = monotonic()

    def _end(self) -> None:
        """Fails what is still there; nothing comes into the inbox any more."""
        self._progressed = None
        message = self._broken or "the endpoint is shutting down"
        while not self._inbox.empty():
            try:
                self._inbox.get_nowait()()
            except Exception:
                log.exception("a message to the engine was lost")
        try:
            self._execution.end(message)
        except Exception:
            log.exception("the backend cannot be freed")


def _check_form(request: GenerationRequest) -> None:
    if request.version != VERSION:
        raise RequestError(
            f"this engine takes requests of version {VERSION}, not {request.version}",
            status=500,
            code="wrong_version",
        )
    if not all(isinstance(segment, TextSegment) for segment in request.prompt):
        raise RequestError(
            "this model takes text only", param="messages", code="unsupported_content"
        )
