"""Runs an endpoint in this process until a signal stops it."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from friendli_endpoint.app import create_endpoint
from friendli_endpoint.files import open_regular
from friendli_endpoint.generation import ModelCard, StartError
from friendli_endpoint.heap import limit_heaps
from friendli_endpoint.loading import ModelSource
from friendli_endpoint.own_thread import is_out_of_memory
from friendli_endpoint.server.draining import make_server
from friendli_endpoint.server.listening import listen, url_of
from friendli_endpoint.settings import Settings

__all__ = ["Serving", "run"]

log = logging.getLogger("friendli_endpoint.server")

MAX_PEM_BYTES = 1 << 20
"""Maximum size of a certificate's file; a chain has some kilobytes."""

SPARE_FILES = 256
"""Open files besides the connections: spare connections, the model, adapters and the log."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Facts about an endpoint that serves, for its start line.

    Attributes:
        card: Card of the model.
        address: URL of the endpoint, as `http://HOST:PORT`.
        needs_token: Whether callers need a bearer token.
        tool_family: Name of the format of tool calls; None if it is unknown.
    """

    card: ModelCard
    address: str
    needs_token: bool
    tool_family: str | None


def run(
    settings: Settings,
    on_ready: Callable[[Serving], None],
    source: ModelSource | None = None,
) -> None:
    """Serves until a signal.

    Worker threads that tokenize or compile for requests that have ended may still run afterwards.

    Args:
        settings: Settings of the endpoint.
        on_ready: Called when requests are served.
        source: The model; None for that of the settings.

    Raises:
        StartError: The model cannot be served, the address cannot be listened on, or the TLS
            certificate cannot be used.
    """
    limit_heaps()
    _raise_file_limit(settings.max_connections + SPARE_FILES)
    failures: list[StartError] = []

    def model_loaded() -> None:
        _freeze_garbage_collector()
        service, needs_token = endpoint.service, endpoint.policy.tokens is not None
        on_ready(Serving(service.engine.card, address, needs_token, service.tool_family))

    def loading_failed(error: StartError) -> None:
        failures.append(error)
        server.should_exit = True

    endpoint = create_endpoint(
        settings, source=source, on_ready=model_loaded, on_failed=loading_failed
    )
    _check_tls(settings)
    listener = listen(settings.host, settings.port)
    address = url_of(listener, "https" if settings.tls_cert else "http")
    server = make_server(endpoint.app, endpoint.service, settings, endpoint.policy.body_memory)
    # uvicorn raises the captured signal again when it has stopped; SIGTERM then also interrupts.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runner = asyncio.Runner(loop_factory=server.config.get_loop_factory())
    runner.get_loop().set_exception_handler(report_exception)
    with contextlib.suppress(KeyboardInterrupt):
        runner.run(server.serve([listener]))
    if failures:
        with contextlib.suppress(RuntimeError):  # no memory for the thread that waits for others
            runner.close()
        raise failures[0]
    # Otherwise the runner is not closed: that would wait for threads that still tokenize or compile
    # for requests that have ended.


def report_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs an exception that nothing has handled; a want of memory in one sentence.

    Args:
        loop: The event loop.
        context: What asyncio knows about the exception.
    """
    error = context.get("exception")
    if error is not None and is_out_of_memory(error):
        log.error("there is not enough memory to go on with a connection")
    else:
        loop.default_exception_handler(context)


def _check_tls(settings: Settings) -> None:
    """Checks the TLS certificate and its key.

    Raises:
        StartError: They cannot be used; the message says why.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None:
        if key is not None:
            raise StartError("--tls-key needs --tls-cert")
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        for path in (cert, key or cert):
            _check_size(path)
        context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise StartError(
            f"cannot use the certificate {cert} with the key {key or cert}: {error}"
        ) from error


def _check_size(path: Path) -> None:
    """Rejects a file that is too large for a certificate, as OpenSSL would read all of it."""
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > MAX_PEM_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MAX_PEM_BYTES >> 20} MiB", str(path))


def _no_password() -> str:
    raise ValueError("the key is encrypted with a password")


def _freeze_garbage_collector() -> None:
    """Excludes the permanent objects from garbage collection, which would pause every stream."""
    gc.collect()
    gc.freeze()


def _raise_file_limit(wanted: int) -> None:
    """Raises the limit of open files to `wanted` if allowed; the usual 1024 is too low."""
    try:
        import resource
    except ImportError:  # not available on this system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < wanted:
        log.warning("the limit of %d open files is lower than --max-connections needs", hard)
