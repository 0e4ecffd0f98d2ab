"""`friendli.utils`: the import path of the retry configuration."""

from __future__ import annotations

from typing import Any, Protocol

from friendli._retry import BackoffStrategy, RetryConfig
from friendli._stream import EventStream, EventStreamAsync

__all__ = ["BackoffStrategy", "EventStream", "EventStreamAsync", "Logger", "RetryConfig"]

_ABSENT = frozenset(
    {
        "Retries",
        "SerializedRequestBody",
        "check_modality",
        "digest",
        "download_from_url",
        "get_pydantic_model",
        "marshal_json",
        "match_content_type",
        "match_response",
        "match_status_codes",
        "retry",
        "retry_async",
        "stream_to_text",
        "stream_to_text_async",
        "unmarshal_json",
    }
)


class Logger(Protocol):
    """What fits `debug_logger=`."""

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Note a message, to be filled with `args` by `%`."""


def __getattr__(name: str) -> Any:
    from friendli._absent import absent

    raise absent(__name__, name, _ABSENT)
