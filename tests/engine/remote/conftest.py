"""Fixtures for tests of engines elsewhere."""

from collections.abc import Iterator

import pytest

from friendli_endpoint.engine.core.loop import EngineLoop
from tests.chat.random_requests import RULES, VOCABULARY, babble
from tests.support.scripted import serving


@pytest.fixture(scope="module")
def loop() -> Iterator[EngineLoop]:
    """Returns an engine whose answers the scripted engines repeat."""
    with serving(babble, slots=3, vocabulary=VOCABULARY, make_guide=RULES.guide) as (loop, _):
        yield loop
