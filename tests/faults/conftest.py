"""Fixtures of the fault matrices."""

import logging

import pytest


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Hides the tracebacks that the endpoint logs for errors that a test causes."""
    caplog.set_level(logging.CRITICAL, "friendli_endpoint")
