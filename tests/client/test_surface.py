"""Names that programs for the published client import."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import typing
from typing import Any

import httpx2
import pytest

import friendli
from friendli import SyncFriendli
from friendli._errors import NotCoveredImportError

NAMES = {
    "friendli.core": "VERSION OPENAPI_DOC_VERSION USER_AGENT SERVERS SDKConfiguration "
    "SyncFriendliCore AsyncFriendliCore SDKError ChatChoice",
    "friendli.core._hooks": "SDKInitHook BeforeRequestHook AfterSuccessHook AfterErrorHook "
    "BeforeRequestContext AfterSuccessContext AfterErrorContext HookContext SDKHooks",
    "friendli.core.dedicated_chat": "SyncDedicatedChat AsyncDedicatedChat",
    "friendli.core.models": "DedicatedChatCompleteResponse HTTPValidationErrorData",
    "friendli.core.utils": "RetryConfig BackoffStrategy Logger",
    "friendli.core.utils.eventstreaming": "EventStream EventStreamAsync ServerEvent",
    "friendli.dedicated.chat": "SyncChat AsyncChat",
    "friendli.httpclient": "HttpClient AsyncHttpClient ClientOwner close_clients",
    "friendli.models": "DedicatedChatCompleteResponse HTTPValidationError HTTPValidationErrorData "
    "ValidationError ValidationErrorTypedDict NoResponseError",
    "friendli.types": "UNSET UNSET_SENTINEL BaseModel Nullable OptionalNullable UnrecognizedInt "
    "UnrecognizedStr",
    "friendli.utils": "RetryConfig BackoffStrategy Logger",
}
ABSENT = {
    "friendli": "container dataset file serverless",
    "friendli.core": "SPEAKEASY_GENERATOR_VERSION",
    "friendli.core.utils": "marshal_json",
    "friendli.utils": "Retries retry retry_async marshal_json unmarshal_json get_pydantic_model "
    "stream_to_text stream_to_text_async SerializedRequestBody digest download_from_url "
    "check_modality match_response",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_there(module: str) -> None:
    for name in NAMES[module].split():
        scope: dict[str, Any] = {}
        exec(f"from {module} import {name}", scope)
        assert scope[name] is not None


@pytest.mark.parametrize("module", ABSENT)
def test_names_that_are_not_covered_say_so(module: str) -> None:
    for name in ABSENT[module].split():
        with pytest.raises(ImportError, match=rf"covers dedicated\.chat .*{name} is not part"):
            exec(f"from {module} import {name}", {})


@pytest.mark.parametrize("module", [*ABSENT, "friendli.models"])
def test_names_that_never_were(module: str) -> None:
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec(f"from {module} import nonsense", {})
    assert not hasattr(importlib.import_module(module), "nonsense")


def test_absent_names_are_errors_of_ours() -> None:
    with pytest.raises(NotCoveredImportError) as caught:
        exec("from friendli.utils import digest", {})
    assert isinstance(caught.value, friendli.FriendliError) and caught.value.name == "digest"


def test_the_answer_of_both_generations() -> None:
    from friendli import models

    members = typing.get_args(models.DedicatedChatCompleteResponse)
    assert members[0] is models.ServerlessChatCompleteSuccess
    origins = [typing.get_origin(member) for member in members[1:]]
    assert origins == [friendli.EventStream, friendli.EventStreamAsync]


def test_validation_errors() -> None:
    from friendli import models

    detail = [{"loc": ["body", "messages", 0], "msg": "Field required", "type": "missing"}]
    error = models.HTTPValidationError("m", httpx2.Response(422, json={"detail": detail}))
    (wrong,) = error.data.detail or []
    assert wrong == models.ValidationError(
        loc=["body", "messages", 0], msg="Field required", type="missing"
    )
    assert not models.HTTPValidationError("m", httpx2.Response(422, json={})).data.detail


def test_the_configuration_is_read_only() -> None:
    from friendli.core import SERVERS, SDKConfiguration

    configuration = SyncFriendli("secret", timeout_ms=1500).sdk_configuration
    assert isinstance(configuration, SDKConfiguration)
    assert (configuration.server_url, configuration.timeout_ms) == (SERVERS[0], 1500)
    assert "secret" not in repr(configuration)
    with pytest.raises(dataclasses.FrozenInstanceError):
        configuration.timeout_ms = 1  # type: ignore[misc]


class Owner:
    """An owner of both clients."""

    def __init__(self) -> None:
        self.client: Any = httpx2.Client()
        self.async_client: Any = httpx2.AsyncClient()


@pytest.mark.parametrize("in_loop", [False, True])
@pytest.mark.parametrize("supplied", [False, True])
def test_close_clients(in_loop: bool, supplied: bool) -> None:
    from friendli.httpclient import close_clients

    owner = Owner()
    sync_client, async_client = owner.client, owner.async_client

    async def main() -> None:
        close_clients(owner, sync_client, supplied, async_client, supplied)
        await asyncio.sleep(0.01)

    if in_loop:
        asyncio.run(main())
    else:
        close_clients(owner, sync_client, supplied, async_client, supplied)
    assert owner.client is None and owner.async_client is None
    assert sync_client.is_closed is not supplied and async_client.is_closed is not supplied
    sync_client.close()
    asyncio.run(async_client.aclose())
