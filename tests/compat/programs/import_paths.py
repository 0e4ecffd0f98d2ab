"""Imports as editors complete them, from the modules of the classes."""

from friendli.core._hooks.types import BeforeRequestHook, Hooks
from friendli.core.models.assistantmessage import AssistantMessage
from friendli.core.models.chatchoice import ChatChoice
from friendli.core.models.friendlicoreerror import FriendliCoreError
from friendli.core.models.no_response_error import NoResponseError
from friendli.core.models.responseformatjsonschema import ResponseFormatJSONSchema
from friendli.core.models.sdkerror import SDKError
from friendli.core.models.systemmessage import SystemMessage
from friendli.core.models.tool import Tool
from friendli.core.models.toolmessage import ToolMessage
from friendli.core.models.usermessage import UserMessage

import friendli.models
from friendli.core._version import __version__
from friendli.core.types import UNSET
from friendli.core.utils.eventstreaming import EventStream, EventStreamAsync
from friendli.core.utils.retries import BackoffStrategy, RetryConfig
from friendli.friendli import AsyncFriendli, SyncFriendli
from friendli.httpclient import AsyncHttpClient, HttpClient

CLASSES = [
    *(AssistantMessage, AsyncFriendli, AsyncHttpClient, BackoffStrategy, BeforeRequestHook),
    *(ChatChoice, EventStream, EventStreamAsync, FriendliCoreError, HttpClient, NoResponseError),
    *(ResponseFormatJSONSchema, RetryConfig, SDKError, SyncFriendli, SystemMessage, Tool),
    *(ToolMessage, UserMessage),
]
print("classes:", [item.__name__ for item in CLASSES])
print("same:", friendli.SyncFriendli is SyncFriendli, friendli.models.SDKError is SDKError)
print("hooks:", isinstance(Hooks, type), repr(UNSET), isinstance(__version__, str))
print("message:", UserMessage(content="a"))
