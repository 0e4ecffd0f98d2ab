"""Fixtures for tests of the engine."""

import logging

import pytest


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Hides the tracebacks that the engine logs for errors that a test causes."""
    caplog.set_level(logging.CRITICAL, "friendli_endpoint.engine")
