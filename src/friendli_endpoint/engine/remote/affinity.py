"""Choice of the engine for a request: the one that has its prefix, unless it is much busier."""

from collections.abc import Sequence
from typing import TypeAlias

from cachetools import LRUCache

from friendli_endpoint.engine.remote.member import Member
from friendli_endpoint.generation import GenerationRequest, TextSegment

__all__ = ["Affinity"]

MAX_PREFIXES = 4096
"""Maximum number of prefixes whose engine is remembered."""

PREFIX_TOKENS = 64
"""Number of leading tokens of a prompt that decide about its engine."""

_Prefix: TypeAlias = tuple[str | None, tuple[int, ...]]


class Affinity:
    """Remembers which engine has computed which prefix last, as its cache may still have it."""

    def __init__(self) -> None:
        self._engines: LRUCache[_Prefix, Member] = LRUCache(MAX_PREFIXES)

    def choose(self, request: GenerationRequest, members: Sequence[Member]) -> Member:
        """Returns the engine for a request.

        An engine is much busier if it has more choices to compute than the least busy one and half
        of the choices that run at the same time.

        Args:
            request: The request.
            members: The engines that may get it, at least one.
        """
        prefix = _prefix_of(request)
        chosen = min(members, key=lambda member: member.load)
        known = self._engines.get(prefix)
        if known is not None and known in members:
            slack = known.card.num_sequences // 2 if known.card is not None else 0
            if known.load <= chosen.load + slack:
                chosen = known
        self._engines[prefix] = chosen
        return chosen


def _prefix_of(request: GenerationRequest) -> _Prefix:
    first = request.prompt[0]
    tokens = first.token_ids[:PREFIX_TOKENS] if isinstance(first, TextSegment) else ()
    return request.adapter, tokens
