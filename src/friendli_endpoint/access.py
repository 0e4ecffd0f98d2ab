"""Makes the access policy from the settings; rejects settings that are open by mistake."""

import ipaddress
from collections.abc import Callable

from friendli_endpoint.generation import StartError
from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget
from friendli_endpoint.http.limits.rates import RateLimiter
from friendli_endpoint.http.middleware.tokens import (
    TokenDigests,
    TokenError,
    TokenFile,
    parse_tokens,
)
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.settings import Settings

__all__ = ["AccessError", "policy_of"]

ALWAYS_OPEN = frozenset({"/health", "/live"})
METRICS = "/metrics"

_CHUNK = 1 << 20
"""Bytes by which a body may exceed its limit unnoticed: a server reads 256 KiB at once."""


class AccessError(StartError):
    """Invalid or insecure access settings; the message says why in a sentence."""


def policy_of(settings: Settings) -> Policy:
    """Returns the access policy of the settings.

    Args:
        settings: Settings of the endpoint.

    Raises:
        AccessError: The tokens are invalid, or there are none and other machines can connect.
    """
    tokens = _tokens(settings)
    local = _is_loopback(settings.host)
    if not settings.auth and tokens is not None:
        raise AccessError("--no-auth cannot be combined with tokens")
    if settings.auth and tokens is None and not local:
        raise AccessError(
            f"{settings.host} can be reached from other machines: set --token-file or --no-auth"
        )
    open_metrics = local if settings.open_metrics is None else settings.open_metrics
    return Policy(
        max_body=settings.max_body,
        max_messages=settings.max_messages,
        body_memory=BodyMemoryBudget(max(settings.max_body_memory, settings.max_body + _CHUNK)),
        receive_seconds=settings.receive_seconds,
        answer_seconds=settings.timeout,
        tokens=tokens,
        open_paths=ALWAYS_OPEN | ({METRICS} if open_metrics else frozenset()),
        allowed_hosts=settings.allowed_host if local or settings.allowed_host else None,
        cors_origins=settings.cors_origin,
        rates=RateLimiter(settings.requests_per_minute, settings.tokens_per_minute),
        shows_metrics=settings.metrics,
    )


def _tokens(settings: Settings) -> Callable[[], TokenDigests] | None:
    """Returns a function that returns the valid tokens; None without tokens."""
    try:
        fixed = frozenset[bytes]()
        if settings.tokens is not None:
            secret = settings.tokens.get_secret_value()
            fixed = parse_tokens(secret.replace(",", "\n").splitlines(), "tokens")
        if settings.token_file is not None:
            file = TokenFile(settings.token_file)
            return lambda: fixed | file.current()
    except TokenError as error:
        raise AccessError(str(error)) from error
    return (lambda: fixed) if fixed else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
