"""Fixtures for tests of engines elsewhere."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.remote.child import ChildSetup
from tests.chat.random_requests import RULES, VOCABULARY, babble
from tests.engine.remote.scripted_child import ScriptedOpener, scripted_guides
from tests.support.scripted import serving

PULSE_SECONDS = 0.05


@pytest.fixture(scope="module")
def loop() -> Iterator[EngineLoop]:
    """Returns an engine whose answers the scripted engines repeat."""
    with serving(babble, slots=3, vocabulary=VOCABULARY, make_guide=RULES.guide) as (loop, _):
        yield loop


@pytest.fixture
def setup_of(tmp_path: Path) -> Callable[..., ChildSetup]:
    """Returns a function that makes the setup of a scripted engine with these options."""

    def make(**options: Any) -> ChildSetup:
        opener = ScriptedOpener(tmp_path, **options)
        return ChildSetup(opener, scripted_guides, PULSE_SECONDS, logging.INFO)

    return make
