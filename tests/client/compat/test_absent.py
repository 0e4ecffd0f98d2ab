"""Names of the published client that this one does not have."""

from __future__ import annotations

import importlib

import pytest

import friendli
from friendli._errors import NotCoveredImportError

ABSENT = {
    "friendli": "container dataset file serverless",
    "friendli.core": "SPEAKEASY_GENERATOR_VERSION",
    "friendli.core.utils": "marshal_json",
    "friendli.utils": "Retries retry retry_async marshal_json unmarshal_json get_pydantic_model "
    "stream_to_text stream_to_text_async SerializedRequestBody digest download_from_url "
    "check_modality match_response parse_datetime template_url",
}


@pytest.mark.parametrize("module", ABSENT)
def test_uncovered_names_raise_not_covered_import_error(module: str) -> None:
    for name in ABSENT[module].split():
        with pytest.raises(ImportError, match=rf"covers dedicated\.chat .*{name} is not part"):
            exec(f"from {module} import {name}", {})


@pytest.mark.parametrize("module", [*ABSENT, "friendli.models"])
def test_unknown_names_raise_import_error(module: str) -> None:
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec(f"from {module} import nonsense", {})
    assert not hasattr(importlib.import_module(module), "nonsense")


def test_not_covered_import_error_is_a_friendli_error() -> None:
    with pytest.raises(NotCoveredImportError) as caught:
        exec("from friendli.utils import digest", {})
    assert isinstance(caught.value, friendli.FriendliError) and caught.value.name == "digest"


@pytest.mark.parametrize("kind", [friendli.SyncFriendli, friendli.AsyncFriendli])
@pytest.mark.parametrize("path", ["chat", "completions", "dedicated.chat.completions"])
def test_calls_in_the_manner_of_openai_name_the_right_call(kind: type, path: str) -> None:
    owner = kind()
    *owners, name = path.split(".")
    for attribute in owners:
        owner = getattr(owner, attribute)
    with pytest.raises(friendli.NotCoveredError, match=r"call friendli\.dedicated\.chat\.complete"):
        getattr(owner, name)
