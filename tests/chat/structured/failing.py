"""Stand-in for native code that fails."""

from typing import NoReturn

__all__ = ["Failing", "Panic"]


class Panic(BaseException):
    """Like the exception of a Rust panic, not an `Exception`."""


class Failing:
    """A matcher whose methods all raise.

    Args:
        error: The exception that they raise.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getattr__(self, name: str) -> object:
        def fail(*_: object) -> NoReturn:
            raise self._error

        return fail
