"""`friendli-endpoint serve`: settings in, a server that runs until a signal."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from typing import Any, NoReturn

import typer
from rich.console import Console

from friendli_endpoint.access import AccessError, policy_of
from friendli_endpoint.app import EndpointService, StartError, create_app
from friendli_endpoint.cli.banner import show_banner
from friendli_endpoint.cli.complaint import CANNOT_START, complain, refuse
from friendli_endpoint.cli.flags import read_settings, with_settings
from friendli_endpoint.cli.server import make_server
from friendli_endpoint.files import open_regular
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry.log_queue import LogQueue, QueuedStream
from friendli_endpoint.telemetry.request_log import formatter_of

__all__ = ["serve"]

log = logging.getLogger("friendli_endpoint.cli")

SPARE_FILES = 256
"""Files that are open beside the connections: those for probes, the model, adapters, the log."""


@with_settings
def serve(**flags: Any) -> None:
    """Load a model and answer until stopped.

    Every option can also be set in the environment, as FRIENDLI_ENDPOINT_MAX_SEQUENCES=4 does, or
    in a TOML file, as max_sequences = 4. A flag goes before a variable, and that before the file.
    """
    settings = read_settings(flags)
    _start_logging(settings)
    _raise_file_limit(settings.max_connections + SPARE_FILES)
    service = EndpointService(settings)
    try:
        service.check()
        policy = policy_of(settings)
        _check_tls(settings)
        listener = socket.create_server((settings.host, settings.port))
    except (StartError, AccessError) as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}")
    _run(service, settings, policy, listener)
    _end_process()


def _run(
    service: EndpointService, settings: Settings, policy: Policy, listener: socket.socket
) -> None:
    """Serves on a bound socket until a signal.

    Raises:
        typer.Exit: There is no model to serve.
    """
    failure: list[StartError] = []
    scheme = "https" if settings.tls_cert else "http"
    address = "{}://{}:{}".format(scheme, *listener.getsockname()[:2])

    def ready() -> None:
        _keep_what_is_loaded()
        embedded = service.embedded
        if embedded is not None:
            room = embedded.capacity
            show_banner(
                Console(),
                embedded.name,
                address,
                room.sequences,
                room.context,
                needs_token=policy.tokens is not None,
            )

    def failed(error: StartError) -> None:
        failure.append(error)
        server.should_exit = True

    app = create_app(service, policy, ready=ready, failed=failed)
    server = make_server(app, service, settings, policy.bodies)
    # When it has stopped, the server raises the signal once more: both are then an interrupt.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runner = asyncio.Runner(loop_factory=server.config.get_loop_factory())
    with contextlib.suppress(KeyboardInterrupt):
        runner.run(server.serve([listener]))
    if failure:
        runner.close()
        complain(str(failure[0]))
        raise typer.Exit(CANNOT_START)
    # Else it is not closed: that would wait for threads which tokenise or compile for nobody.


def _end_process() -> NoReturn:
    """Ends the process without freeing anything: threads may still use it."""
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(0)


def _keep_what_is_loaded() -> None:
    """Spares the garbage collector what stays for good: looking through it stops every stream."""
    gc.collect()
    gc.freeze()


def _check_tls(settings: Settings) -> None:
    """Ends the command where no server can show this certificate."""
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None:
        if key is not None:
            refuse("--tls-key needs --tls-cert")
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        for path in (cert, key or cert):
            open_regular(path).close()
        context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as error:
        refuse(f"cannot use the certificate {cert} with the key {key or cert}: {error}")


def _no_password() -> str:
    raise ValueError("the key is locked with a password")


def _start_logging(settings: Settings) -> None:
    """Has the log, and all else on standard error, written by a thread of its own."""
    known = logging.getLevelNamesMapping()[settings.log_level.upper()]
    handler: logging.Handler = logging.StreamHandler()
    with contextlib.suppress(AttributeError, OSError):  # there is none, or it is not a file
        is_terminal = sys.stderr.isatty()
        handler = LogQueue(sys.stderr.fileno())
        sys.stderr = QueuedStream(handler, is_terminal)
    handler.setFormatter(formatter_of(settings.log_format))
    logging.basicConfig(level=known, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, known))


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
