"""What the operator grants to those who call."""

from collections.abc import Callable
from dataclasses import dataclass, field

from friendli_endpoint.http.limits.body_memory import BodyMemory
from friendli_endpoint.http.limits.rates import Rates
from friendli_endpoint.http.middleware.tokens import Tokens

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may come in, and how much they may ask for.

    Attributes:
        max_body: Most bytes of a request's body.
        max_messages: How many messages a request may have; None does not bound them.
        bodies: Bytes of bodies that are held at once.
        receive_seconds: How long a body may take to arrive.
        answer_seconds: How long a request may take as a whole; None is for ever.
        tokens: Gives the tokens that are valid now; None needs none.
        open_paths: Paths that need no token where others do.
        cors_origins: Origins whose pages may call; `*` is any.
        rates: What each token may use in a minute.
        shows_metrics: Whether there is a page of metrics.
    """

    max_body: int
    max_messages: int | None = None
    bodies: BodyMemory = field(default_factory=BodyMemory)
    receive_seconds: float = 30.0
    answer_seconds: float | None = None
    tokens: Callable[[], Tokens] | None = None
    open_paths: frozenset[str] = frozenset({"/health", "/live"})
    cors_origins: tuple[str, ...] = ()
    rates: Rates = field(default_factory=Rates)
    shows_metrics: bool = True
