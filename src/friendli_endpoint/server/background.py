"""An endpoint in a background thread of this process, on a free port."""

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator

import uvicorn

from friendli_endpoint.app import create_endpoint
from friendli_endpoint.generation import StartError
from friendli_endpoint.settings import Settings

__all__ = ["running"]

GRACEFUL_SHUTDOWN_SECONDS = 1
"""Time that running requests get at shutdown to send an error, in seconds."""


LOCAL_ONLY = {"host": "127.0.0.1", "auth": False, "tokens": None, "token_file": None}
"""Settings of a server that only this process connects to."""


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[str]:
    """Serves on the loopback address until the block ends; yields the URL once the model is loaded.

    Raises:
        StartError: The endpoint cannot start.
    """
    startup: queue.Queue[StartError | None] = queue.Queue()
    endpoint = create_endpoint(
        settings.model_copy(update=LOCAL_ONLY),
        on_ready=lambda: startup.put(None),
        on_failed=startup.put,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            endpoint.app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        )
    )

    def serve() -> None:
        try:
            with contextlib.suppress(SystemExit):  # uvicorn's, if the application does not start
                server.run(sockets=[listener])
        finally:
            startup.put(StartError("the endpoint ended before it was ready"))

    thread = threading.Thread(target=serve, name="endpoint", daemon=True)
    thread.start()
    try:
        error = startup.get()
        if error is not None:
            raise error
        yield "http://{}:{}".format(*listener.getsockname()[:2])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()  # a server that did not start leaves it open
