"""Native code that fails in its own ways."""

from typing import NoReturn

__all__ = ["Failing", "Panic"]


class Panic(BaseException):
    """As native code raises it."""


class Failing:
    """A matcher of which every method raises.

    Args:
        how: What it raises.
    """

    def __init__(self, how: BaseException) -> None:
        self._how = how

    def __getattr__(self, name: str) -> object:
        def fail(*_: object) -> NoReturn:
            raise self._how

        return fail
