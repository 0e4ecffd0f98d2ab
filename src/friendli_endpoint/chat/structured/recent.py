"""The grammars that were compiled last."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from llguidance import LLMatcher

__all__ = ["RecentMatchers"]


class RecentMatchers:
    """A bounded number of matchers, by least recent use; safe to use from many threads.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, LLMatcher] = OrderedDict()
        self._gate = threading.Lock()

    def get(self, key: str, compiled: Callable[[], LLMatcher]) -> LLMatcher:
        """The matcher of a key, compiled if it is not there; to be copied, not used."""
        with self._gate:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        matcher = compiled()
        with self._gate:
            self._kept[key] = matcher
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return matcher
