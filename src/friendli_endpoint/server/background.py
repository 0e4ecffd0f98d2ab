"""An endpoint in a background thread of this process, on a free port."""

import contextlib
import queue
import threading
from collections.abc import Iterator

import uvicorn

from friendli_endpoint.app import create_endpoint
from friendli_endpoint.generation import StartError
from friendli_endpoint.server.draining import make_config
from friendli_endpoint.server.listening import listen, url_of
from friendli_endpoint.settings import Settings

__all__ = ["running"]

GRACEFUL_SHUTDOWN_SECONDS = 1
"""Time that running requests get at shutdown to send an error, in seconds."""


LOCAL_ONLY = {
    "host": "127.0.0.1",
    "auth": False,
    "tokens": None,
    "token_file": None,
    "tls_cert": None,
    "tls_key": None,
}
"""Settings of a server that only this process connects to."""


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[str]:
    """Serves on the loopback address until the block ends; yields the URL once the model is loaded.

    Raises:
        StartError: The endpoint cannot start.
    """
    startup: queue.Queue[StartError | None] = queue.Queue()
    settings = settings.model_copy(update=LOCAL_ONLY)
    endpoint = create_endpoint(
        settings,
        on_ready=lambda: startup.put(None),
        on_failed=startup.put,
    )
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(
        make_config(endpoint.app, settings, endpoint.policy.body_memory, GRACEFUL_SHUTDOWN_SECONDS)
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
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()  # a server that did not start leaves it open
