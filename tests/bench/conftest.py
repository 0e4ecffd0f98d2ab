"""What the tests of benchmarks have in common."""

import pytest

from friendli_endpoint.bench import rest


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is measured: whatever else the machine does, nobody waits for it for long."""
    monkeypatch.setattr(rest, "LOOK_SECONDS", 0.02)
