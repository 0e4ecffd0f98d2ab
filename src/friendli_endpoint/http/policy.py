"""Access and limits of callers, as set by the operator."""

from collections.abc import Callable
from dataclasses import dataclass, field

from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget
from friendli_endpoint.http.limits.rates import RateLimiter
from friendli_endpoint.http.middleware.tokens import TokenDigests

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Access and limits of callers.

    Attributes:
        max_body: Maximum size of a request body in bytes.
        max_messages: Maximum number of messages of a request; None for no limit.
        body_memory: Budget of the bytes of all request bodies in memory.
        receive_seconds: Maximum time for a body to arrive, in seconds.
        answer_seconds: Maximum time for a whole request, in seconds; None for no limit.
        tokens: Returns the digests of the tokens that are valid now; None if no token is required.
        admin_tokens: Returns the digests of the administrators' tokens that are valid now, which
            `tokens` contains too, unless it is None; None if there are no such tokens.
        open_admin: Whether callers on this machine are administrators, where `admin_tokens` is
            None.
        open_paths: Paths that never require a token.
        cors_origins: Origins whose web pages may send requests; `*` allows any.
        rates: Rate limits of each token.
        shows_metrics: Whether `/metrics` is served.
    """

    max_body: int
    max_messages: int | None = None
    body_memory: BodyMemoryBudget = field(default_factory=BodyMemoryBudget)
    receive_seconds: float = 30.0
    answer_seconds: float | None = None
    tokens: Callable[[], TokenDigests] | None = None
    admin_tokens: Callable[[], TokenDigests] | None = None
    open_admin: bool = False
    open_paths: frozenset[str] = frozenset({"/health", "/live"})
    cors_origins: tuple[str, ...] = ()
    rates: RateLimiter = field(default_factory=RateLimiter)
    shows_metrics: bool = True
