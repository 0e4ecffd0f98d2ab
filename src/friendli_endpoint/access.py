"""Makes the access policy from the settings; rejects settings that are open by mistake."""

import ipaddress
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from friendli_endpoint.files import read_text
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

__all__ = ["AccessError", "policy_of", "readable_secrets"]

ALWAYS_OPEN = frozenset({"/health", "/live"})
METRICS = "/metrics"

_CHUNK = 1 << 20
"""Bytes by which a body may exceed its limit unnoticed: a server reads 256 KiB at once."""

_FORMS = 2
"""Forms of a body that are in memory at once: as sent, and decoded."""


class AccessError(StartError):
    """Invalid or insecure access settings; the message says why in a sentence."""


def policy_of(settings: Settings) -> Policy:
    """Returns the access policy of the settings.

    Args:
        settings: Settings of the endpoint.

    Raises:
        AccessError: The tokens are invalid, or there are none and other machines can connect.
    """
    admin_tokens = _tokens(settings.admin_tokens, settings.admin_token_file, "admin tokens")
    tokens = _tokens(settings.tokens, settings.token_file, "tokens")
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
        body_memory=BodyMemoryBudget(
            max(settings.max_body_memory, _FORMS * settings.max_body + _CHUNK)
        ),
        receive_seconds=settings.receive_seconds,
        answer_seconds=settings.timeout,
        tokens=_union(tokens, admin_tokens) if tokens is not None else None,
        admin_tokens=admin_tokens,
        open_admin=local and tokens is None,
        open_paths=ALWAYS_OPEN | ({METRICS} if open_metrics else frozenset()),
        allowed_hosts=settings.allowed_host if local or settings.allowed_host else None,
        cors_origins=settings.cors_origin,
        rates=RateLimiter(settings.requests_per_minute, settings.tokens_per_minute),
        shows_metrics=settings.metrics,
    )


def readable_secrets(settings: Settings) -> list[Path]:
    """Returns the files with tokens that users other than their owner can read.

    These are the token files, and the TOML file of the settings if it contains tokens.
    """
    if os.name != "posix":
        return []
    files = [path for path in (settings.token_file, settings.admin_token_file) if path is not None]
    if settings.config is not None and _has_tokens(settings.config):
        files.append(settings.config)
    return [path for path in files if _is_readable_by_others(path)]


def _has_tokens(config: Path) -> bool:
    try:
        return not {"tokens", "admin_tokens"}.isdisjoint(tomllib.loads(read_text(config)))
    except (OSError, ValueError):  # it has been read as settings before, and has changed since
        return False


def _is_readable_by_others(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _tokens(
    secret: SecretStr | None, path: Path | None, source: str
) -> Callable[[], TokenDigests] | None:
    """Returns a function that returns the valid tokens; None without tokens.

    Args:
        secret: Tokens, separated by commas or line breaks.
        path: File with more tokens.
        source: Name of `secret`, for errors.

    Raises:
        AccessError: A token is invalid, or there are none in `secret` or in the file.
    """
    try:
        fixed = frozenset[bytes]()
        if secret is not None:
            fixed = parse_tokens(secret.get_secret_value().replace(",", "\n").splitlines(), source)
        if path is not None:
            file = TokenFile(path)
            return lambda: fixed | file.current()
    except TokenError as error:
        raise AccessError(str(error)) from error
    return (lambda: fixed) if fixed else None


def _union(
    tokens: Callable[[], TokenDigests], admin_tokens: Callable[[], TokenDigests] | None
) -> Callable[[], TokenDigests]:
    """Returns a function that returns the tokens of all callers, administrators included."""
    if admin_tokens is None:
        return tokens
    return lambda: tokens() | admin_tokens()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
