"""Arguments of the applications for `serve deploy`."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from friendli_endpoint.generation import StartError
from friendli_endpoint.ray_app import build, engines

Build = Callable[[Mapping[str, Any]], Any]


@pytest.mark.parametrize("make", [build, engines])
@pytest.mark.parametrize("name", ["port", "tls_cert", "drain_seconds", "ray", "config"])
def test_settings_of_our_own_server_are_rejected_by_name(make: Build, name: str) -> None:
    with pytest.raises(StartError, match=f"the argument {name} has no effect"):
        make({"threads": 1, name: "1"})


@pytest.mark.parametrize("make", [build, engines])
def test_the_processors_of_an_engine_must_be_given(make: Build) -> None:
    with pytest.raises(StartError, match="threads"):
        make({"engines": 2})
