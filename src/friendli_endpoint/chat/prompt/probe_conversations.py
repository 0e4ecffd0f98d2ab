"""Conversations that are rendered to find how a chat template takes calls and results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.prompt.past_calls import PastCall

__all__ = [
    "ANSWERED",
    "FREE_ARGUMENTS",
    "INTERRUPTED",
    "KEY_PREFIX",
    "PROBE_TOOL",
    "PROBE_USER",
    "REASONED",
    "SEVERAL",
    "SINGLE",
    "UNANSWERED",
    "WITH_TEXT",
    "ProbeConversation",
]

Message = dict[str, Any]

KEY_PREFIX = "probekey"
"""Beginning of the names of all arguments."""

PROBE_USER: Message = {"role": "user", "content": "probeuser"}
PROBE_TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "probetool",
        "description": "d",
        "parameters": {
            "type": "object",
            "properties": {"p": {"type": "string", "description": "d"}},
            "required": ["p"],
        },
    },
}
_TEXT = "probetext"
_WORDS = "probewords"
_ANSWER: Message = {"role": "assistant", "content": "probeanswer"}
_LATER: Message = {"role": "user", "content": "probelater"}


@dataclass(frozen=True, slots=True)
class ProbeConversation:
    """A conversation, and what its prompt must show.

    Attributes:
        messages: The messages, as `with_calls` takes them.
        shown: Lists of texts; the prompt must contain each list in this order.
    """

    messages: Sequence[Message]
    shown: Sequence[Sequence[str]]


def _call(number: int, arguments: str = "") -> PastCall:
    function = {
        "name": f"probename{number}",
        "arguments": arguments or f'{{"{KEY_PREFIX}{number}": "probevalue{number}"}}',
    }
    identity = f"call_{number}PROBEidentity0123456789"  # the form of OpenAI's ids
    return PastCall.of({"id": identity, "type": "function", "function": function}, "")


def _answer(*calls: PastCall, text: str = "", **fields: str) -> Message:
    return {"role": "assistant", "content": text, **fields, "tool_calls": list(calls)}


def _result(number: int) -> Message:
    """Returns a result with a name of its own, so that the name of the call shows only there."""
    return {
        "role": "tool",
        "tool_call_id": _call(number).identity,
        "name": "probesource",
        "content": f"proberesult{number}",
    }


def _shown(number: int, *following: str) -> list[list[str]]:
    """Returns what shows a call and what follows; the name may precede the arguments or not."""
    arguments = [f"{KEY_PREFIX}{number}", f"probevalue{number}"]
    return [[f"probename{number}", *following], [*arguments, *following]]


def _conversation(*messages: Message, shown: Sequence[Sequence[str]]) -> ProbeConversation:
    return ProbeConversation((PROBE_USER, *messages), shown)


_ONE, _TWO = _call(1), _call(2)
_RESULTS = (_result(1), _result(2))
_ENDING = (_ANSWER, _LATER)
_FIRST = _shown(1, "proberesult1")
_FIRST_OF_MORE = _shown(1, "proberesult1", "probeanswer", "probelater")
_BOTH = [*_FIRST, *_shown(2, "proberesult2")]
_BOTH_OF_MORE = [*_BOTH, ["proberesult1", "probeanswer", "probelater"]]

ANSWERED: Sequence[Message] = (PROBE_USER, _answer(_ONE), _result(1))
"""A conversation that ends with a result."""
SINGLE = (
    _conversation(_answer(_ONE), _result(1), *_ENDING, shown=_FIRST_OF_MORE),
    _conversation(_answer(_ONE), _result(1), _answer(_TWO), _result(2), shown=_BOTH),
)
"""Answers with one call."""
SEVERAL = (
    _conversation(_answer(_ONE, _TWO), *_RESULTS, *_ENDING, shown=_BOTH_OF_MORE),
    _conversation(_answer(_ONE, _TWO), *_RESULTS, shown=_BOTH),
)
"""Answers with two calls."""
WITH_TEXT = (
    _conversation(
        _answer(_ONE, text=_TEXT), _result(1), *_ENDING, shown=[[_TEXT], *_FIRST_OF_MORE]
    ),
    _conversation(_answer(_ONE, _TWO, text=_TEXT), *_RESULTS, shown=[[_TEXT], *_BOTH]),
)
"""Answers with text and calls."""
REASONED = (
    _conversation(_answer(_ONE, reasoning_content="r"), _result(1), shown=_FIRST),
    _conversation(
        _answer(_ONE, text=_TEXT, reasoning_content="r"),
        *(_result(1), *_ENDING),
        shown=[[_TEXT], *_FIRST_OF_MORE],
    ),
    _conversation(
        _answer(_ONE, _TWO, text=_TEXT, reasoning_content="r"),
        *_RESULTS,
        shown=[[_TEXT], *_BOTH],
    ),
)
"""Answers with reasoning and calls; the template decides whether the reasoning is shown."""
INTERRUPTED = (
    _conversation(_answer(_ONE), _result(1), _LATER, shown=_shown(1, "proberesult1", "probelater")),
    _conversation(_answer(_ONE), _LATER, shown=_shown(1, "probelater")),
)
"""Calls that a user message follows, instead of an answer."""
UNANSWERED = (
    _conversation(_answer(_ONE), shown=_shown(1)),
    _conversation(_answer(_ONE, _TWO), _result(1), *_ENDING, shown=[*_FIRST_OF_MORE, *_shown(2)]),
)
"""Calls without results: at the end, and one of two."""
FREE_ARGUMENTS = (
    _conversation(
        _answer(_call(1, _WORDS)),
        *(_result(1), *_ENDING),
        shown=[["probename1"], [_WORDS, "proberesult1"]],
    ),
)
"""A call whose arguments are not an object."""
