"""Names that programs for the published client import."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import typing
from typing import Any

import httpx2
import pytest

import friendli
from friendli import SyncFriendli

NAMES = {
    "friendli.core": "VERSION OPENAPI_DOC_VERSION USER_AGENT SERVERS SDKConfiguration "
    "SyncFriendliCore AsyncFriendliCore SDKError ChatChoice",
    "friendli.core._hooks": "SDKInitHook BeforeRequestHook AfterSuccessHook AfterErrorHook "
    "BeforeRequestContext AfterSuccessContext AfterErrorContext HookContext Hooks SDKHooks",
    "friendli.core._hooks.sdkhooks": "SDKHooks",
    "friendli.core._hooks.types": "BeforeRequestHook HookContext Hooks",
    "friendli.core._version": "__version__",
    "friendli.core.sdk": "SyncFriendliCore AsyncFriendliCore",
    "friendli.core.sdkconfiguration": "SDKConfiguration SERVERS",
    "friendli.core.httpclient": "HttpClient AsyncHttpClient ClientOwner close_clients",
    "friendli.core.dedicated_chat": "SyncDedicatedChat AsyncDedicatedChat",
    "friendli.core.models": "DedicatedChatCompleteResponse HTTPValidationErrorData",
    "friendli.core.models.chatlogprobs_output": "ChatLogprobsOutput",
    "friendli.core.models.dedicatedchatcompleteop": "DedicatedChatCompleteResponse",
    "friendli.core.models.message": "Message",
    "friendli.core.models.no_response_error": "NoResponseError",
    "friendli.core.models.sdkerror": "SDKError",
    "friendli.core.models.usermessage": "UserMessage UserMessageTypedDict",
    "friendli.core.utils": "RetryConfig BackoffStrategy Logger",
    "friendli.core.utils.eventstreaming": "EventStream EventStreamAsync ServerEvent",
    "friendli.dedicated.chat": "SyncChat AsyncChat",
    "friendli.httpclient": "HttpClient AsyncHttpClient ClientOwner close_clients",
    "friendli.models": "DedicatedChatCompleteResponse "
    "DedicatedChatCompleteResponseTypedDict HTTPValidationError HTTPValidationErrorData "
    "ValidationError ValidationErrorTypedDict NoResponseError",
    "friendli.types": "UNSET UNSET_SENTINEL BaseModel Nullable OptionalNullable UnrecognizedInt "
    "UnrecognizedStr",
    "friendli.utils": "RetryConfig BackoffStrategy Logger",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_of_the_published_client_can_be_imported(module: str) -> None:
    for name in NAMES[module].split():
        scope: dict[str, Any] = {}
        exec(f"from {module} import {name}", scope)
        assert scope[name] is not None


def test_a_module_of_a_class_can_be_imported_first() -> None:
    program = (
        "from friendli.core.models.usermessage import UserMessage; print(UserMessage.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("UserMessage\n", "")


def test_dedicated_chat_complete_response_is_an_answer_or_a_stream() -> None:
    from friendli import models

    members = typing.get_args(models.DedicatedChatCompleteResponse)
    assert members[0] is models.ServerlessChatCompleteSuccess
    origins = [typing.get_origin(member) for member in members[1:]]
    assert origins == [friendli.EventStream, friendli.EventStreamAsync]


def test_programs_can_construct_an_http_validation_error() -> None:
    from friendli import models

    wrong = models.ValidationError(loc=["body", 0], msg="Field required", type="missing")
    data = models.HTTPValidationErrorData(detail=[wrong])
    error = models.HTTPValidationError(data, httpx2.Response(422, text="the body"))
    assert (error.data, error.status_code, error.body, str(error)) == (
        data,
        422,
        "the body",
        "the body",
    )
    assert pickle.loads(pickle.dumps(error)).data == data
    assert models.HTTPValidationError(data, httpx2.Response(422), "given").body == "given"


def test_sdk_configuration_is_frozen_and_hides_the_token() -> None:
    from friendli.core import SERVERS, SDKConfiguration

    configuration = SyncFriendli("secret", timeout_ms=1500).sdk_configuration
    assert isinstance(configuration, SDKConfiguration)
    assert (configuration.server_url, configuration.timeout_ms) == (SERVERS[0], 1500)
    assert "secret" not in repr(configuration)
    with pytest.raises(dataclasses.FrozenInstanceError):
        configuration.timeout_ms = 1  # type: ignore[misc]
