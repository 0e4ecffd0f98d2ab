"""Table of the differences between what the programs print under the published clients and ours.

Each row gives the labels that differ because of it, by program. `docs/client.md` contains the table
as `as_markdown()` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.compat.outputs import PUBLISHED

OLD, NEW = PUBLISHED
SAME = "as here"


@dataclass(frozen=True)
class Difference:
    """One row.

    Attributes:
        what: Subject.
        old: Behaviour of version 0.12.2; `SAME` if only 0.16.5 differs.
        new: Behaviour of version 0.16.5; `SAME` if only 0.12.2 differs.
        here: Behaviour of this client, with the reason unless it is evident.
        labels: Labels of differing lines, by program.
        only_old: Labels of `labels` that differ for 0.12.2 only, by program.
        only_new: Labels of `labels` that differ for 0.16.5 only, by program.
    """

    what: str
    old: str
    new: str
    here: str
    labels: Mapping[str, tuple[str, ...]]
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()

    def differs(self, version: str, label: str) -> bool:
        """Returns whether a line of `labels` differs for a published version."""
        if version == OLD:
            return self.old != SAME and label not in self.only_new
        return self.new != SAME and label not in self.only_old


DIFFERENCES = (
    Difference(
        "unknown keys in messages, parts, tools and formats",
        "dropped",
        "dropped",
        "sent: whether a key has an effect is for the endpoint to say",
        {
            "foreign_histories": (
                "a database's",
                "calls",
                "openai's dump",
                "openai's parts",
                "tools",
            ),
            "structured_output": ("openai's dict, sent",),
        },
    ),
    Difference(
        "own fields of a subclass of a message",
        "sent as null",
        "sent as null",
        "not sent",
        {"own_models": ("subclass, sent",)},
    ),
    Difference(
        "role `developer`, lists as content of system messages",
        "ValidationError",
        "ValidationError",
        "sent",
        {"foreign_histories": ("developer", "system parts")},
    ),
    Difference(
        "the message of an answer, or its `tool_calls`, given back as they are",
        "ValidationError",
        "ValidationError",
        "sent",
        {
            "tool_messages": (
                "calls of the answer, answer",
                "calls of the answer, error",
                "calls of the answer, sent",
                "the message itself, answer",
                "the message itself, error",
                "the message itself, sent",
            )
        },
    ),
    Difference(
        "`stop` as a text",
        "ValidationError",
        "ValidationError",
        "sent",
        {"errors": ("stop as text", "stop as text, places")},
    ),
    Difference(
        "`Accept` of `complete()`",
        SAME,
        "`application/json;q=1, text/event-stream;q=0`",
        "`application/json`",
        {
            "custom_client": ("base headers", "headers"),
            "event_hooks": ("headers",),
            "sync_complete": ("headers", "headers of a bearer", "headers of a callable"),
        },
    ),
    Difference(
        "unknown fields of an answer",
        "dropped",
        "dropped",
        "kept",
        {"foreign_histories": ("unknown fields of an answer",)},
    ),
    Difference(
        "`reasoning_content` of deltas",
        "dropped",
        "dropped",
        "kept",
        {"stream_method": ("reasoning",), "stream_argument": ("reasoning",)},
    ),
    Difference(
        "keys of the TypedDicts of messages",
        "no `reasoning`, `reasoning_content`, `prefix`, `partial`",
        "no `prefix`, `partial`",
        "with all of them",
        {
            "typed_dicts": (
                "keys of AssistantMessage",
                "keys of SystemMessage",
                "keys of ToolMessage",
                "keys of UserMessage",
            )
        },
    ),
    Difference(
        "printed: absent fields that 0.12 does not have",
        SAME,
        "`prompt_tokens_details=Unset()`, `reasoning=Unset()`",
        "not printed, because they read as None",
        {
            "custom_client": ("mock transport",),
            "message_objects": ("assistant",),
            "mocks_patched": ("answer",),
            "mocks_pytest_httpx": ("answer",),
            "mocks_respx": ("answer",),
            "pickling": ("answer",),
            "sync_complete": ("answer",),
        },
    ),
    Difference(
        "printed: names of the classes of answers and events",
        SAME,
        "`ServerlessChatCompleteSuccess`, `StreamedChatResult`",
        "the names of 0.12; each class has both",
        {
            "custom_client": ("async mock transport, stream", "mock transport, stream"),
            "mocks_patched": ("events",),
            "mocks_respx": ("stream",),
            "own_models": ("turn",),
        },
    ),
    Difference(
        "`model_dump()` without `by_alias=True`",
        "constants become None",
        SAME,
        "the same values as on the wire",
        {"sync_complete": ("dump",)},
    ),
    Difference(
        "UNSET in the program's own JSON (pydantic, FastAPI)",
        '`"~?~unset~?~sentinel~?~"`',
        '`"~?~unset~?~sentinel~?~"`',
        "null; `{}` by FastAPI's `jsonable_encoder`",
        {
            "fastapi_streaming": ("typed", "words"),
            "own_models": ("unset in a dict", "unset in a dict, dumped"),
        },
    ),
    Difference(
        "error event in the middle of a stream",
        "pydantic's ValidationError",
        "ResponseValidationError without the server's message",
        "`StreamError`, an SDKError, with the message",
        {
            "errors": (
                "error-event",
                "error-event, body",
                "error-event, cause",
                "error-event, headers",
                "error-event, message",
                "error-event, places",
                "error-event, response",
                "error-event, same text",
                "error-event, url",
            )
        },
        only_old=("error-event, places", "error-event, response"),
        only_new=("error-event, cause",),
    ),
    Difference(
        "message of an invalid answer",
        "pydantic's of its `Unmarshaller`",
        "pydantic's of its `Unmarshaller`",
        "pydantic's of the answer's class, after the same `Response validation failed: `",
        {"errors": ("not-json, message", "wrong-shape, message")},
    ),
    Difference(
        "`loc` of an invalid argument",
        "ends in a type (`nullable[int]`)",
        "ends in a type (`nullable[int]`)",
        "ends in the argument's name",
        {"errors": ("max_tokens, places", "temperature, places", "text as messages, places")},
    ),
    Difference(
        "message of a network error",
        "httpx's",
        "httpx's",
        "httpx's, after a sentence that says what happened",
        {"mocks_patched": ("side effect",)},
    ),
    Difference(
        "classes of `stream.response`, `error.headers` and the requests and responses of hooks",
        "httpx's",
        "httpx's",
        "httpx2's; httpx's with `client=httpx.Client()`",
        {
            "errors": ("class of headers",),
            "hooks": ("class of requests", "class of responses"),
            "stream_method": ("class of the response",),
            "stream_argument": ("class of the response",),
        },
    ),
    Difference(
        "`after_error` hooks of a call that is retried",
        "run after every attempt",
        SAME,
        "run once, after the last attempt",
        {"hooks": ("fail-503-2, hooks",)},
    ),
    Difference(
        "one async client in several `asyncio.run`",
        "`Event loop is closed`",
        "`Event loop is closed`",
        "works",
        {"repeated_run": ("shared 1",)},
    ),
)


def as_markdown() -> str:
    """Returns the table for the documentation."""
    lines = ["| what | 0.12.2 | 0.16.5 | here | program |", "|---|---|---|---|---|"]
    for row in DIFFERENCES:
        programs = ", ".join(f"`{name}`" for name in row.labels)
        lines.append(f"| {row.what} | {row.old} | {row.new} | {row.here} | {programs} |")
    return "\n".join(lines) + "\n"
