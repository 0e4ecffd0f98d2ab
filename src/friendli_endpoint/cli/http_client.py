"""HTTP client of commands, which shows no secret of the environment or of an address."""

import contextlib
import logging
from collections.abc import Iterator

import httpx2

__all__ = ["ClientError", "http_client"]


class ClientError(Exception):
    """The environment does not allow an HTTP client; the message says why in a sentence."""


@contextlib.contextmanager
def http_client() -> Iterator[httpx2.Client]:
    """Returns a client with the proxy and the certificates that the environment names.

    Meanwhile the library does not log addresses and headers, which may contain secrets.

    Raises:
        ClientError: The proxy or the certificates cannot be used.
    """
    try:
        client = httpx2.Client()
    except (ValueError, ImportError, OSError, httpx2.InvalidURL) as error:  # may show a password
        raise ClientError(
            "the proxy or the certificates that the environment names cannot be used: check "
            "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
        ) from error
    with _quiet_logs(), client:
        yield client


@contextlib.contextmanager
def _quiet_logs() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("httpx2", "httpcore2")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
