"""A pool of worker processes: a job waits for a worker, runs in it, and dies with it."""

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass

from friendli_endpoint.workers.fork_server import (
    EXIT_MEMORY,
    FAILED,
    LAST,
    NUMBER,
    PROGRESS,
    Setup,
)
from friendli_endpoint.workers.frames import receive, receive_async, send, send_async

__all__ = [
    "WorkerCrashError",
    "WorkerError",
    "WorkerPool",
    "WorkerStartError",
    "WorkerTimeoutError",
    "WorkersBusyError",
]

log = logging.getLogger("friendli_endpoint.workers")

PROGRAM = (
    "import sys; from friendli_endpoint.workers.fork_server import main; main(int(sys.argv[1]))"
)

END_SECONDS = 5.0
"""Time for the fork server to end, once its workers have been killed."""


class WorkerStartError(Exception):
    """Workers cannot be started; the message says why."""


class WorkersBusyError(Exception):
    """No worker was free in time."""


class WorkerError(Exception):
    """A job failed; the worker goes on. The message is the traceback in the worker."""


class WorkerTimeoutError(Exception):
    """A job used up its CPU time; its worker has ended.

    Args:
        field: The field it worked on last; empty if it did not say.
    """

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class WorkerCrashError(Exception):
    """A job ended its worker.

    Args:
        field: The field it worked on last; empty if it did not say.
        reason: How the process ended, such as `SIGSEGV` or `out of memory`.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{reason} {field}".rstrip())
        self.field = field
        self.reason = reason


class _LostError(Exception):
    """Somebody else has killed the worker; the job may be done again by another one."""


@dataclass(slots=True, eq=False)
class _Worker:
    pid: int
    connection: socket.socket
    field: str = ""
    is_ending: bool = False

    def is_alive(self) -> bool:
        """Returns whether an idle worker has not ended."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def run(self, job: bytes) -> bytes:
        """Does a job.

        Raises:
            EOFError: The process has ended.
            WorkerError: The job failed.
        """
        self.field = ""
        try:
            await send_async(self.connection, job)
            while (frame := await receive_async(self.connection)).startswith(PROGRESS):
                self.field = frame[1:].decode()
        except OSError as error:
            raise EOFError from error
        if frame.startswith(FAILED):
            raise WorkerError(frame[1:].decode())
        self.is_ending = frame.startswith(LAST)
        return frame[1:]


class WorkerPool:
    """Runs jobs in worker processes, one job each at a time.

    Workers are forked from a process that has loaded what they need (see `fork_server`); it begins
    to load as soon as the pool is created. A worker that ends is replaced when the next job asks
    for one; one that keeps much memory after a job ends by itself. All coroutines belong to one
    event loop.

    Args:
        setup: How workers are made, and what a job may use.
        size: Number of workers, at least 1.
        wait_seconds: Time for which a job may wait for a worker.
    """

    def __init__(self, setup: Setup, *, size: int, wait_seconds: float) -> None:
        self._setup = setup
        self._size = size
        self._wait_seconds = wait_seconds
        self._places = asyncio.Semaphore(size)
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._gate = threading.Lock()
        self._closed = False
        self._arguments: tuple[object, ...] = ()
        self._server, self._control = self._load()

    def start(self, *arguments: object) -> None:
        """Starts the workers; blocks until they are ready, so call it in a thread.

        Args:
            arguments: Positional arguments of the callable that the setup's factory returns.

        Raises:
            WorkerStartError: They cannot be started.
        """
        self._arguments = arguments
        with self._gate:
            self._await_server()
        self._idle = [self._fork() for _ in range(self._size)]

    async def run(self, job: bytes) -> bytes:
        """Runs a job in a worker; cancelling it kills the worker.

        Raises:
            WorkersBusyError: No worker was free in time.
            WorkerTimeoutError: The job used up its CPU time.
            WorkerCrashError: The job ended its worker, by a fault or for want of memory.
            WorkerError: The job failed.
            WorkerStartError: A worker that had ended cannot be replaced.
        """
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise WorkersBusyError from None
        try:
            try:
                return await self._run(job)
            except _LostError:
                return await self._run(job)
        except _LostError:
            raise WorkerCrashError("", "SIGKILL") from None
        finally:
            self._places.release()

    def close(self) -> None:
        """Kills the workers; `run` fails from now on. May be called again, from any thread."""
        with self._gate:
            self._closed = True
            for worker in self._workers:  # those that run close their connections themselves
                os.kill(worker.pid, signal.SIGKILL)
            self._workers.clear()
            while self._idle:
                self._idle.pop().connection.close()
            self._end_server()

    async def _run(self, job: bytes) -> bytes:
        worker = await self._take()
        try:
            result = await worker.run(job)
        except WorkerError:
            self._idle.append(worker)
            raise
        except EOFError:
            status = await asyncio.to_thread(self._end, worker)
            raise _error(status, worker.field) from None
        except BaseException:
            self._kill(worker)
            await asyncio.shield(asyncio.to_thread(self._end, worker))
            raise
        if worker.is_ending:
            await asyncio.to_thread(self._end, worker)
        else:
            self._idle.append(worker)
        return result

    async def _take(self) -> _Worker:
        """Takes an idle worker, or forks one."""
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive():
                return worker
            await asyncio.to_thread(self._end, worker)
        return await asyncio.to_thread(self._fork)

    def _load(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """Starts a fork server, which begins to load; returns it and its control socket."""
        ours, theirs = socket.socketpair()
        with theirs:
            server = subprocess.Popen(
                [sys.executable, "-P", "-c", PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                stderr=subprocess.DEVNULL,  # where a library may report every crash
                env=_environment(),
                process_group=0,  # Ctrl-C is for this process
            )
        with contextlib.suppress(OSError):  # it has ended: `_await_server` reports that
            send(ours, pickle.dumps(sys.path))
            send(ours, pickle.dumps(self._setup))
        return server, ours

    def _await_server(self) -> None:
        """Waits until workers can be forked."""
        try:
            send(self._control, pickle.dumps(self._arguments))
            reason = receive(self._control).decode()
        except (EOFError, OSError):
            reason = "the pool is closed" if self._closed else f"exit code {self._server.wait()}"
        if reason:
            raise WorkerStartError(f"the worker processes cannot start: {reason}")

    def _restart_server(self) -> None:
        if self._closed:
            raise WorkerStartError("the pool is closed")
        self._end_server()
        log.warning("the process that forks workers has ended; it is started again")
        self._server, self._control = self._load()
        self._await_server()

    def _end_server(self) -> None:
        self._control.close()
        try:
            self._server.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def _fork(self) -> _Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs, self._gate:
            try:
                try:
                    pid = self._command(b"f", theirs)
                except (EOFError, OSError):
                    self._restart_server()
                    pid = self._command(b"f", theirs)
            except BaseException:
                ours.close()
                raise
            worker = _Worker(pid, ours)
            self._workers.add(worker)
        return worker

    def _kill(self, worker: _Worker) -> None:
        with self._gate:
            if worker in self._workers:  # else its process id may be another process's by now
                os.kill(worker.pid, signal.SIGKILL)

    def _end(self, worker: _Worker) -> int:
        """Waits for a worker that has been killed or has ended; returns its wait status."""
        worker.connection.close()
        with self._gate:
            self._workers.discard(worker)
            try:
                return self._command(b"w" + NUMBER.pack(worker.pid))
            except (EOFError, OSError):
                return signal.SIGKILL  # it has ended with the process that forked it

    def _command(self, command: bytes, sent: socket.socket | None = None) -> int:
        socket.send_fds(self._control, [command], [sent.fileno()] if sent else [])
        answer = self._control.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(answer) < NUMBER.size:
            raise EOFError
        (number,) = NUMBER.unpack(answer)
        return int(number)


def _environment() -> dict[str, str]:
    """Returns the environment of workers: without our settings, and with one thread per library."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("FRIENDLI_")
    }
    return {**inherited, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _error(status: int, field: str) -> Exception:
    """The error of a job whose worker has ended with a wait status."""
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGPROF:
        return WorkerTimeoutError(field)
    if code == EXIT_MEMORY:
        return WorkerCrashError(field, "out of memory")
    if code == -signal.SIGKILL:
        return _LostError()
    if code < 0:
        return WorkerCrashError(field, signal.Signals(-code).name)
    return WorkerCrashError(field, f"exit code {code}")
