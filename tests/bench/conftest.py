"""Fixtures of the benchmark tests."""

import pytest

from friendli_endpoint.bench import idle


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the wait for idle servers, because these tests measure nothing."""
    monkeypatch.setattr(idle, "POLL_SECONDS", 0.02)
