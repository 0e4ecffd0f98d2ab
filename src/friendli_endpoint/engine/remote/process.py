"""One life of an engine in a child process, from its start to its end."""

import asyncio
import contextlib
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.connection import EngineConnection
from friendli_endpoint.engine.remote.messages import (
    FROM_ENGINE,
    TO_ENGINE,
    Close,
    FromEngine,
    ToEngine,
)
from friendli_endpoint.engine.remote.suspects import Death
from friendli_endpoint.engine.remote.wire import encode
from friendli_endpoint.workers.frames import send

__all__ = ["EngineProcess"]

PROGRAM = (
    "import sys; from friendli_endpoint.engine.remote.child import main; "
    "main(int(sys.argv[1]), sys.argv[2])"
)

CLOSE_SECONDS = 3.0
"""Time for an engine to end its step and to store its prefixes on disk."""

END_SECONDS = 5.0
"""Time for a process to end after its socket is closed; it is killed then."""

_OUTSIDE = (-signal.SIGKILL, -signal.SIGHUP)
"""Exit codes of processes that somebody else has ended: a person, or a system without memory."""


class EngineProcess:
    """A child process with an engine; used on one event loop.

    Args:
        setup: Setup of the process.
        on_messages: Called with the messages of each frame.
        on_end: Called once, when the process has ended.
    """

    def __init__(
        self,
        setup: ChildSetup,
        on_messages: Callable[[Sequence[FromEngine]], None],
        on_end: Callable[[Death], None],
    ) -> None:
        self._setup = setup
        self._on_messages = on_messages
        self._on_end = on_end
        self._folder = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._connection = EngineConnection(FROM_ENGINE, self._receive, self._lose)
        self._hang: str | None = None
        self._ending: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self.heard_at = 0.0

    @property
    def pid(self) -> int:
        """Id of the process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Starts the process, which then opens the engine.

        Raises:
            OSError: The process cannot be started.
        """
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        try:
            self._folder = tempfile.mkdtemp(prefix="friendli-endpoint-")
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", PROGRAM, str(theirs.fileno()), self._folder],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,  # programs parse what the endpoint writes
                    pass_fds=[theirs.fileno()],
                    env=_environment(self._folder),
                    process_group=0,  # Ctrl-C is for the front
                )
            with contextlib.suppress(OSError):  # it has ended
                send(ours, pickle.dumps(sys.path))
                send(ours, pickle.dumps(self._setup))
            ours.setblocking(False)
            await loop.create_connection(lambda: self._connection, sock=ours)
        except BaseException:
            ours.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            self._remove_folder()
            raise
        self.heard_at = loop.time()

    def send(self, message: ToEngine) -> None:
        """Sends a message; nothing happens if the process has ended.

        Raises:
            WireError: The message is too long.
        """
        self._connection.send(encode(TO_ENGINE, [message]))

    def kill_hung(self, reason: str) -> None:
        """Kills the process because the engine hangs.

        Args:
            reason: What it does, as the end of a sentence.
        """
        self._hang = self._hang or reason
        if self._process is not None:
            self._process.kill()

    async def aclose(self, *, is_open: bool = False) -> None:
        """Ends the process, which fails all that it runs; `on_end` is called before this ends.

        Args:
            is_open: Whether the engine is open, and has `CLOSE_SECONDS` to close.
        """
        if self._process is None:
            return
        with contextlib.suppress(TimeoutError):
            if is_open:
                self.send(Close())
                await asyncio.wait_for(self._lost.wait(), CLOSE_SECONDS)
        self._connection.close()
        await self._lost.wait()
        assert self._ending is not None
        await asyncio.shield(self._ending)

    def _receive(self, messages: Sequence[FromEngine]) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        self._on_messages(messages)

    def _lose(self, error: Exception | None) -> None:
        self._ending = asyncio.get_running_loop().create_task(self._end(error))
        self._lost.set()

    async def _end(self, error: Exception | None) -> None:
        code = await asyncio.to_thread(self._wait)
        self._on_end(self._death(code, error))

    def _wait(self) -> int:
        """Waits for the end of the process, whose socket is closed; returns its exit code."""
        assert self._process is not None
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._remove_folder()

    def _death(self, code: int, error: Exception | None) -> Death:
        if self._hang is not None:
            return Death("hang", self._hang)
        if code in _OUTSIDE:
            return Death("outside", f"signal {_name_of(-code)}")
        if code < 0:
            return Death("crash", f"signal {_name_of(-code)}")
        if error is not None:
            return Death("outside", f"its connection failed: {error}")
        return Death("outside", f"exit code {code}")

    def _remove_folder(self) -> None:
        """Removes the temporary files, which a process that is killed leaves behind."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _environment(folder: str) -> dict[str, str]:
    """Returns the environment of an engine: without our settings, with a folder of its own."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("FRIENDLI_")
    }
    return {**inherited, "TMPDIR": folder}
