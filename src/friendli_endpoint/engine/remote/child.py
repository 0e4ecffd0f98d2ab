"""The process of one engine: opens it, and runs the orders that come over sockets.

The first two frames are pickles of the process that started this one: its module path, and the
`ChildSetup`. All others are messages. The process ends when the other end of its socket is closed.
Endpoints on other machines connect by TCP, if the setup says so.
SIGINT and SIGTERM, which may go to a whole group of processes, do not end it, so that the front can
finish its requests. Nor does SIGHUP, which it gets if the front ends while it is stopped: it has to
remove its temporary files.
"""

import asyncio
import gc
import logging
import os
import pickle
import select
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from friendli_endpoint.engine.remote.connection import EngineConnection, new_event_loop
from friendli_endpoint.engine.remote.fronts import Fronts, outbox_of
from friendli_endpoint.engine.remote.messages import (
    TO_ENGINE,
    Opened,
    OpeningFailed,
    Pulse,
    ToEngine,
)
from friendli_endpoint.engine.remote.serving import FrameLogHandler, FrameOutbox
from friendli_endpoint.engine.remote.wire import WireError
from friendli_endpoint.generation import (
    Engine,
    GuideMaker,
    ModelCard,
    RequestError,
    StartError,
    StepReport,
    Vocabulary,
    reason_of,
)
from friendli_endpoint.workers.frames import receive

__all__ = ["ChildSetup", "EngineOpener", "main"]

log = logging.getLogger("friendli_endpoint.engine")

MAX_REMOVALS = 100
"""Maximum number of times that the temporary files are removed, if others are written meanwhile."""

MakeGuides: TypeAlias = Callable[[Vocabulary], GuideMaker]

EngineOpener: TypeAlias = Callable[
    [MakeGuides, Callable[[StepReport], None], ModelCard | None], Engine
]
"""Opens an engine in the process that calls it: with a function that makes the `GuideMaker` for the
model's vocabulary, and one that receives the report of every step. If it gets a card, the engine
must have the same capacity. May block for seconds; raises `StartError` or `RequestError`."""


@dataclass(frozen=True, slots=True)
class ChildSetup:
    """Setup of an engine's process; it is pickled, so functions travel as their dotted names.

    Attributes:
        open: Opens the engine.
        guides: Makes the `GuideMaker` for a vocabulary.
        pulse_seconds: Interval in seconds at which the process sends a sign of life.
        log_level: Minimum level of the log lines that it sends.
        host: Address on which the engine accepts connections of endpoints; None for none.
        card: Card of an engine with the capacity that this one must have, or None.
    """

    open: EngineOpener
    guides: MakeGuides
    pulse_seconds: float
    log_level: int
    host: str | None = None
    card: ModelCard | None = None


def main(descriptor: int, folder: str) -> None:
    """Serves a socket until it is closed.

    Args:
        descriptor: Descriptor of the socket.
        folder: Folder of the process's temporary files, which is removed at the end.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    connection = socket.socket(fileno=descriptor)
    watch = threading.Thread(target=_end_with, args=[descriptor, folder], name="front", daemon=True)
    watch.start()
    try:
        sys.path = pickle.loads(receive(connection))
        setup: ChildSetup = pickle.loads(receive(connection))
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(connection, setup))
    except EOFError:
        pass
    finally:
        _end(folder)


def _end_with(descriptor: int, folder: str) -> None:
    """Ends the process when the other end of a socket is closed, whatever else it does."""
    poll = select.poll()
    poll.register(descriptor, 0)  # a hang-up is always reported
    poll.poll()
    _end(folder)


def _end(folder: str) -> NoReturn:
    """Removes the temporary files, as the front may have been killed, and ends the process.

    It frees nothing else, because the engine's thread may still compute.
    """
    for _ in range(MAX_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            break
    os._exit(0)


async def _serve(connection: socket.socket, setup: ChildSetup) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end(_error: Exception | None = None) -> None:
        if not ended.done():
            ended.set_result(None)

    keeper = EngineConnection(TO_ENGINE, _reject, end)
    connection.setblocking(False)
    await loop.create_connection(lambda: keeper, sock=connection)
    outbox = outbox_of(keeper)
    fronts = Fronts(outbox)
    logging.basicConfig(level=setup.log_level, handlers=[FrameLogHandler(outbox)])
    opening = asyncio.create_task(_open(setup, fronts.report, outbox))
    while not opening.done():
        outbox.put(Pulse(True, 0.0))
        await asyncio.wait({opening}, timeout=setup.pulse_seconds)
    engine = opening.result()
    if engine is not None:
        leaving = asyncio.Event()
        server = fronts.serve(
            engine, outbox, on_close=end, on_leave=leaving.set, is_front=setup.host is None
        )
        keeper.on_messages = server.receive
        if setup.host is not None:
            outbox.put(await fronts.listen(setup.host, engine))
        outbox.put(Opened(engine.card))
        departure = asyncio.create_task(_leave(fronts, leaving, end))
        while not ended.done():
            fronts.put(server.pulse())
            await asyncio.wait({ended}, timeout=setup.pulse_seconds)
        departure.cancel()
    await ended
    if engine is not None:
        await engine.aclose()


async def _leave(fronts: Fronts, leaving: asyncio.Event, end: Callable[[], None]) -> None:
    """Ends the process when it may leave and has finished its requests."""
    await leaving.wait()
    await fronts.leave()
    end()


def _reject(_messages: tuple[ToEngine, ...]) -> None:
    raise WireError("a message came before the engine was opened")


async def _open(
    setup: ChildSetup, report: Callable[[StepReport], None], outbox: FrameOutbox
) -> Engine | None:
    """Opens the engine; reports why it cannot be opened."""
    try:
        engine = await asyncio.to_thread(setup.open, setup.guides, report, setup.card)
    except (StartError, RequestError) as error:
        outbox.put(OpeningFailed(reason_of(error)))
        return None
    except Exception as error:
        log.debug("the model cannot be loaded", exc_info=True)
        outbox.put(OpeningFailed(f"cannot load the model: {reason_of(error)}"))
        return None
    gc.collect()
    gc.freeze()  # a collection of the model's objects would pause every stream
    return engine
