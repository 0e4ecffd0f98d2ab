"""What tests of the engine's loop share."""

import logging

import pytest


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged with their stack; tests that make them need not show it."""
    caplog.set_level(logging.CRITICAL, "friendli_endpoint.engine")
