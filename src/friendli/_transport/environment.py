"""Environment variables about connections: certificate stores and proxies.

The HTTP library reads the same variables. Where one is wrong, its errors do not name it, and a
wrong proxy breaks calls that would not use it.
"""

from __future__ import annotations

import os
import ssl
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from friendli._errors import ConfigurationError
from friendli._transport.secret import shown_url

_CERTIFICATE_VARIABLES: Final = (
    ("SSL_CERT_FILE", os.path.isfile, "file"),
    ("SSL_CERT_DIR", os.path.isdir, "directory"),
)
_SCHEMES: Final = ("http", "https", "all")


def verifying_context() -> ssl.SSLContext:
    """Return the TLS context of connections: that of httpx2, or with the certificates of certifi.

    The certificates are those of SSL_CERT_FILE or SSL_CERT_DIR, else the system's, else (in images
    without any) those of the package certifi, if it is installed.

    Raises:
        ConfigurationError: SSL_CERT_FILE or SSL_CERT_DIR is wrong, or no certificates exist.
    """
    named = False
    for variable, exists, kind in _CERTIFICATE_VARIABLES:
        path = os.environ.get(variable)
        if path and not exists(path):
            raise ConfigurationError(f"{variable} is {path!r}, which is not a {kind}")
        named = named or bool(path)
    try:
        context = httpx2.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        variable = next((name for name, _, _ in _CERTIFICATE_VARIABLES if os.environ.get(name)), "")
        raise ConfigurationError(
            f"{variable or 'the certificates of the system'} cannot be read: {error}"
        ) from None
    if not named and _is_empty(context):
        if find_spec("certifi") is None:
            raise ConfigurationError(
                "this system has no certificates to verify a server by; install the system's "
                "package ca-certificates, or the Python package certifi, or set SSL_CERT_FILE"
            )
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _is_empty(context: ssl.SSLContext) -> bool:
    """Whether a context has no certificates; a directory of certificates is read on demand."""
    if type(context) is not ssl.SSLContext:
        return False  # macOS and Windows verify by themselves
    store = ssl.get_default_verify_paths()
    has_directory = store.capath is not None and bool(os.listdir(store.capath))
    return not has_directory and context.cert_store_stats()["x509_ca"] == 0


def wrong_proxies() -> dict[str, str]:
    """Return what is wrong with the variables of proxies: by scheme, a sentence."""
    wrong = {}
    for scheme in _SCHEMES:
        url = getproxies().get(scheme)
        reason = _reason(_with_scheme(url)) if url else None
        if reason is not None:
            wrong[scheme] = f"{_variable(scheme)} cannot be used as a proxy: {reason}"
    return wrong


def _reason(url: str) -> str | None:
    """Return why a URL is not that of a proxy; None if it is one."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname and (parts.port is None or parts.port > 0))
        httpx2.Proxy(url)
    except (ValueError, httpx2.InvalidURL) as error:
        shown = "it" if "[" in url else shown_url(url)
        return f"{shown} is not the URL of a proxy ({error})"
    if not has_host:
        return f"{shown_url(url)} has no host"
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        return "SOCKS needs the package socksio"
    return None


def proxy_mounts(wrong: dict[str, str], verify: ssl.SSLContext | bool, is_async: bool) -> Any:
    """Return the `mounts` of an httpx2 client, as it makes them of the environment itself.

    A request that needs a wrong proxy fails with the sentence about its variable.

    Args:
        wrong: The result of `wrong_proxies()`.
        verify: TLS context of the connections.
        is_async: Whether the client is async.
    """
    transport: Any = httpx2.AsyncHTTPTransport if is_async else httpx2.HTTPTransport
    proxies = getproxies()
    mounts: dict[str, Any] = {
        f"{scheme}://": _WrongProxy(wrong[scheme])
        if scheme in wrong
        else transport(proxy=_with_scheme(proxies[scheme]), verify=verify)
        for scheme in _SCHEMES
        if proxies.get(scheme)
    }
    for entry in proxies.get("no", "").split(","):
        if entry.strip() == "*":
            return {}
        if entry.strip():
            mounts[_pattern(entry.strip())] = None
    return mounts


def proxy_variable(url: str) -> str | None:
    """Return the variable of the proxy that a connection to a URL uses; None if it is direct."""
    scheme = _proxied_scheme(url)
    return None if scheme is None else _variable(scheme)


def proxy_of(url: str) -> str | None:
    """Return the HTTP proxy that a connection to a URL uses; None if it is direct.

    Raises:
        ConfigurationError: The variable of the proxy is wrong, or the proxy speaks SOCKS.
    """
    scheme = _proxied_scheme(url)
    if scheme is None:
        return None
    proxy = _with_scheme(getproxies()[scheme])
    reason = _reason(proxy)
    if reason is None and proxy.startswith("socks"):
        reason = "this transport has no SOCKS"
    if reason is not None:
        raise ConfigurationError(f"{_variable(scheme)} cannot be used as a proxy: {reason}")
    return proxy


def _proxied_scheme(url: str) -> str | None:
    """Return the scheme whose proxy a connection to a URL uses: its own, or `all`; None: direct."""
    parts = urlsplit(url)
    proxies = getproxies()
    scheme = next((name for name in (parts.scheme, "all") if proxies.get(name)), None)
    return None if scheme is None or proxy_bypass(parts.hostname or "") else scheme


def _pattern(entry: str) -> str:
    """Return the URL pattern of httpx2 for an entry of NO_PROXY: a host, a domain, an address."""
    host = entry.strip("[]").removeprefix("*").removeprefix(".")
    try:
        address = ip_address(host)
    except ValueError:
        return f"all://{host}" if host.lower() == "localhost" else f"all://*{host}"
    return f"all://[{host}]" if address.version == 6 else f"all://{host}"


def _variable(scheme: str) -> str:
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    return next((name for name in names if os.environ.get(name)), names[1])


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"http://{url}"


class _WrongProxy(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Transport of requests that need a proxy whose variable is wrong."""

    def __init__(self, message: str) -> None:
        self._message = message

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        raise ConfigurationError(self._message)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raise ConfigurationError(self._message)
