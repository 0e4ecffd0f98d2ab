"""An endpoint whose engines run in a Ray cluster on this machine; needs the extra `ray`."""

from collections.abc import Iterator

import pytest

from tests.contract.served import Served
from tests.scale.engines import serving

LOCAL = ("--ray", "local")


@pytest.fixture(scope="session")
def two() -> Iterator[Served]:
    """Returns an endpoint with two engines in a cluster of its own."""
    with serving(2, *LOCAL) as endpoint:
        yield endpoint
