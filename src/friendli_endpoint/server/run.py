"""Serves an endpoint in this process until a signal ends it."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
from collections.abc import Callable

from friendli_endpoint.app import joined
from friendli_endpoint.files import open_regular
from friendli_endpoint.generation import ModelCard, StartError
from friendli_endpoint.server.draining import make_server
from friendli_endpoint.settings import Settings

__all__ = ["run"]

log = logging.getLogger("friendli_endpoint.server")

SPARE_FILES = 256
"""Files that are open beside the connections: those for probes, the model, adapters, the log."""


def run(settings: Settings, ready: Callable[[ModelCard, str, bool], None]) -> None:
    """Serves until a signal; threads that tokenise or compile for nobody may still run after it.

    Args:
        settings: The operator's.
        ready: Called when requests are served, with the model, the address, and whether callers
            must show a token.

    Raises:
        StartError: There is no model that can be served, or no address to listen on.
    """
    _raise_file_limit(settings.max_connections + SPARE_FILES)
    failures: list[StartError] = []

    def tell() -> None:
        _spare_garbage_collector()
        ready(endpoint.service.engine.card, address, endpoint.policy.tokens is not None)

    def failed(error: StartError) -> None:
        failures.append(error)
        server.should_exit = True

    endpoint = joined(settings, ready=tell, failed=failed)
    _check_tls(settings)
    listener = _listen(settings)
    scheme = "https" if settings.tls_cert else "http"
    address = "{}://{}:{}".format(scheme, *listener.getsockname()[:2])
    server = make_server(endpoint.app, endpoint.service, settings, endpoint.policy.bodies)
    # When it has stopped, the server raises the signal once more: both are then an interrupt.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runner = asyncio.Runner(loop_factory=server.config.get_loop_factory())
    with contextlib.suppress(KeyboardInterrupt):
        runner.run(server.serve([listener]))
    if failures:
        runner.close()
        raise failures[0]
    # Else it is not closed: that would wait for threads which tokenise or compile for nobody.


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port))
    except OSError as error:
        reason = error.strerror or error
        raise StartError(f"cannot listen on {settings.host}:{settings.port}: {reason}") from error


def _check_tls(settings: Settings) -> None:
    """Checks that a server can show the certificate.

    Raises:
        StartError: It cannot; the message says why.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None:
        if key is not None:
            raise StartError("--tls-key needs --tls-cert")
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        for path in (cert, key or cert):
            open_regular(path).close()
        context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise StartError(
            f"cannot use the certificate {cert} with the key {key or cert}: {error}"
        ) from error


def _no_password() -> str:
    raise ValueError("the key is locked with a password")


def _spare_garbage_collector() -> None:
    """Spares the garbage collector what stays for good: looking through it stops every stream."""
    gc.collect()
    gc.freeze()


def _raise_file_limit(wanted: int) -> None:
    """Lets the process open so many files, as far as it may; 1024 is usual, and soon used up."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < wanted:
        log.warning("at most %d files may be open, fewer than --max-connections needs", hard)
