"""Fixtures for the tests of the contract."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def peak_of() -> Callable[[Callable[[], Any]], int]:
    """Returns a function that returns the bytes that a call allocates at its peak."""

    def measure(call: Callable[[], Any]) -> int:
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure
