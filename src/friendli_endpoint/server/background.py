"""An endpoint behind a command: in this process, on a free port, for as long as it is needed."""

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator

import uvicorn

from friendli_endpoint.app import joined
from friendli_endpoint.generation import StartError
from friendli_endpoint.settings import Settings

__all__ = ["running"]

FAREWELL_SECONDS = 1
"""How long what still runs at the end may take to say so."""


NOBODY_ELSE = {"host": "127.0.0.1", "auth": False, "tokens": None, "token_file": None}
"""What is set for a server that only this program talks to."""


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[str]:
    """Serves on the loopback address until the block ends; gives the address when it answers.

    Raises:
        StartError: There is no model to serve.
    """
    news: queue.Queue[StartError | None] = queue.Queue()
    endpoint = joined(
        settings.model_copy(update=NOBODY_ELSE), ready=lambda: news.put(None), failed=news.put
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            endpoint.app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=FAREWELL_SECONDS,
        )
    )

    def serve() -> None:
        try:
            with contextlib.suppress(SystemExit):  # uvicorn's, where the application does not start
                server.run(sockets=[listener])
        finally:
            news.put(StartError("the endpoint ended before it answered"))

    thread = threading.Thread(target=serve, name="endpoint", daemon=True)
    thread.start()
    try:
        fault = news.get()
        if fault is not None:
            raise fault
        yield "http://{}:{}".format(*listener.getsockname()[:2])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()  # a server that did not start leaves it open
