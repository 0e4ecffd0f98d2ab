"""The published clients, and ours in an environment without the endpoint, print the stored outputs.

Not part of the ordinary suite: `make test-compat` creates the environments and runs it.
"""

from __future__ import annotations

import pytest

from tests.compat.outputs import RUNS, stored
from tests.compat.running import environment, run


@pytest.mark.parametrize(("version", "program"), RUNS)
def test_output_is_the_stored_one(version: str, program: str) -> None:
    assert run(environment(version), program) == stored(version, program)
