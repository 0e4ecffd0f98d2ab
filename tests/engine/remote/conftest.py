"""Setup of processes with scripted engines."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine.remote.child import ChildSetup
from tests.engine.remote.scripted_child import ScriptedOpener, scripted_guides

PULSE_SECONDS = 0.05


@pytest.fixture
def setup_of(tmp_path: Path) -> Callable[..., ChildSetup]:
    """Returns a function that makes the setup of a scripted engine with these options."""

    def make(**options: Any) -> ChildSetup:
        opener = ScriptedOpener(tmp_path, **options)
        return ChildSetup(opener, scripted_guides, PULSE_SECONDS, logging.INFO)

    return make
