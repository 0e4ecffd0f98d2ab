"""A process that loads what workers need, and forks them.

A worker forked from here starts in milliseconds and shares the memory of what was loaded. The
process has a single thread, so forking it is safe, which it would not be in the endpoint's process.

It is controlled over a Unix stream socket. The first three frames are pickles: the module path, the
`Setup`, and the arguments of its factory's result. The answer is an empty frame when workers can be
forked, or the reason why they cannot. Then each byte is a command:

- `f`, sent together with a socket: forks a worker that serves this socket; answers its process id;
- `w`, followed by a process id: waits for that worker; answers its wait status.

Numbers are 4 bytes, signed, big-endian. Each process ends when the other end of its socket is
closed, this one after its workers.
"""

import contextlib
import gc
import importlib
import os
import pickle
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from friendli_endpoint.heap import trim_heap
from friendli_endpoint.workers.frames import receive, send

__all__ = ["EXIT_MEMORY", "FAILED", "LAST", "PROGRESS", "RESULT", "Handler", "Setup", "main"]

Handler: TypeAlias = Callable[[bytes, Callable[[str], None]], bytes]
"""Does one job: takes its bytes, and a function to report the request field it works on."""

PROGRESS, RESULT, LAST, FAILED = b"p", b"r", b"l", b"e"
"""First byte of a frame from a worker: a field, the result, the result of a worker that ends after
it, or the text of an unexpected error."""

MAX_IDLE_BYTES = 128 << 20
"""Resident memory, beyond that at its start, with which a worker waits for the next job. A job may
leave more behind: in caches, and because the heap is fragmented."""

EXIT_MEMORY = 71
"""Exit code of a worker that has used up its memory."""

NUMBER = struct.Struct("!i")


@dataclass(frozen=True, slots=True)
class Setup:
    """Setup of worker processes.

    Attributes:
        factory: Dotted path, as `package.module:name`, of a callable that loads what workers need,
            and returns a callable that makes the `Handler`.
        arguments: Positional arguments of the factory.
        cpu_seconds: CPU time for a job; a worker that takes longer ends by SIGPROF.
        memory_bytes: Address space that a worker may take beyond what the fork server has.
    """

    factory: str
    arguments: tuple[object, ...]
    cpu_seconds: float
    memory_bytes: int


def main(descriptor: int) -> None:
    """Serves the control socket that is open as a descriptor, until it is closed."""
    with socket.socket(fileno=descriptor) as control:
        _serve_commands(control)


def _serve_commands(control: socket.socket) -> None:
    try:
        sys.path = pickle.loads(receive(control))
        setup: Setup = pickle.loads(receive(control))
        module, _, name = setup.factory.partition(":")
        make_handler = getattr(importlib.import_module(module), name)(*setup.arguments)
        handler: Handler = make_handler(*pickle.loads(receive(control)))
    except Exception as error:
        send(control, (str(error) or type(error).__name__).encode())
        return
    gc.collect()
    gc.freeze()  # so that no collection in a worker copies the pages that it shares
    send(control, b"")
    while True:
        command, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if command == b"f":
            answer = _fork(control, descriptors[0], handler, setup)
        elif command == b"w":
            (pid,) = NUMBER.unpack(control.recv(NUMBER.size, socket.MSG_WAITALL))
            _, answer = os.waitpid(pid, 0)
        else:
            break
        control.sendall(NUMBER.pack(answer))
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _fork(control: socket.socket, descriptor: int, handler: Handler, setup: Setup) -> int:
    pid = os.fork()
    if pid:
        os.close(descriptor)
        return pid
    code = 1
    try:
        control.close()
        with socket.socket(fileno=descriptor) as connection:
            _limit_memory(setup.memory_bytes)
            code = _serve_jobs(connection, handler, setup.cpu_seconds)
    finally:
        os._exit(code)


def _serve_jobs(connection: socket.socket, handler: Handler, cpu_seconds: float) -> int:
    """Does jobs until the socket is closed; returns the exit code."""

    def report(field: str) -> None:
        send(connection, PROGRESS + field.encode())

    begun = _resident_bytes()
    while True:
        try:
            job = receive(connection)
        except EOFError:
            return 0
        # The default action of SIGPROF ends the process, also within a native call.
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        try:
            result = handler(job, report)
            if _resident_bytes() > begun + MAX_IDLE_BYTES:
                trim_heap()
            is_last = _resident_bytes() > begun + MAX_IDLE_BYTES
            result = (LAST if is_last else RESULT) + result
        except MemoryError:
            return EXIT_MEMORY
        except Exception:
            result = FAILED + traceback.format_exc().encode(errors="replace")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        send(connection, result)
        if result.startswith(LAST):
            return 0


def _resident_bytes() -> int:
    """Returns the resident memory of this process, where the system tells it; else 0."""
    return _memory_bytes(1)


def _memory_bytes(column: int) -> int:
    """Returns a value of `/proc/self/statm` in bytes; 0 if the system has none."""
    import resource  # not on Windows, where nothing forks

    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[column]) * resource.getpagesize()
    except OSError:
        return 0


def _limit_memory(num_bytes: int) -> None:
    """Limits the address space, where the system tells how much is used."""
    import resource  # not on Windows, where nothing forks

    used = _memory_bytes(0)
    if not used:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + num_bytes
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
