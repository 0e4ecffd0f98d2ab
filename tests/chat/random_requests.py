"""Random requests, and logits of a model that often writes stop strings, tags and ends."""

import hashlib
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from tests.support.scripted import ScriptedVocabulary

__all__ = [
    "MODELS",
    "OPENED",
    "PLAIN",
    "REASONING",
    "RULES",
    "SOURCES",
    "VOCABULARY",
    "babble",
    "bodies",
    "budgeted",
]

PLAIN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
    "<|im_start|>assistant\n"
)
REASONING = PLAIN + "{# <think> #}"
OPENED = PLAIN + "<think>\n"
VOCABULARY = ScriptedVocabulary(context=700)
SOURCES = (PLAIN, REASONING, OPENED)
RULES = RuleCompiler(VOCABULARY)
MODELS = {source: ChatModel(RULES, source, VOCABULARY.context) for source in SOURCES}

LIKELY = [
    *map(VOCABULARY.byte, 'ab <>{}[]":,\n/1'),
    *map(VOCABULARY.token, ("STOP", "ST", "OP", "END", "é", "日本", " the", "</", "<|tool|>")),
    *map(VOCABULARY.byte, "é".encode()),
    *map(VOCABULARY.token, (b"caf\xc3", b"\xa9!", b"\xf0\x9f", b"\x99\x82 ")),
    0,
    2,
]


def babble(tokens: tuple[int, ...]) -> NDArray[np.float32]:
    """Returns logits that depend on the history and prefer ends, stops, tags and partial UTF-8."""
    digest = hashlib.blake2b(repr(tokens).encode(), digest_size=8).digest()
    random = np.random.default_rng(int.from_bytes(digest))
    logits = random.normal(-4, 1, VOCABULARY.size)
    logits[LIKELY] += 5
    for tag in (b"<think>", b"</think>", b"<tool_call>"):
        for length in range(1, len(tag)):
            if bytes(VOCABULARY.token_bytes(t)[0] for t in tokens[-length:]) == tag[:length]:
                logits[VOCABULARY.byte(tag[length])] += 6
    return logits.astype(np.float32)


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look",
            "parameters": {
                "type": "object",
                "properties": {"at": {"type": "string", "maxLength": 6}, "n": {"enum": [1, 2]}},
                "required": ["at"],
                "additionalProperties": False,
            },
        },
    }
]
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "maximum": 99}, "b": {"type": "boolean"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


PREFIXES = {
    "free": ["a", " é \n", "ST", "<thi", ""],
    "min_tokens": ["a", "STOP"],
    "json": ["{", '{ "a": 1', '{"a": 1, "b":', ""],
    "regex": ["a", "é日本", "aaaaa", ""],
    "tools": ["a ", "a <tool_", "<", ""],
}
"""By kind of request: beginnings of the answer, to be continued."""


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": draw(st.text(max_size=10))}],
        "max_tokens": draw(st.integers(1, 60)),
        "seed": draw(st.integers(0, 10**6)),
        "n": draw(st.integers(1, 3)),
        "temperature": draw(st.sampled_from([0, 0.7, 1.0, 1.5])),
        "stop": draw(
            st.lists(
                st.sampled_from(["STOP", "END", "é", "a", "ab", "日", "\n", "<", "</", " t"]),
                max_size=3,
            )
        ),
    }
    if draw(st.booleans()):
        body["logprobs"] = True
        body["top_logprobs"] = draw(st.integers(0, 3))
    for name, values in (
        ("top_p", [0.5, 0.9]),
        ("repetition_penalty", [1.2]),
        ("xtc_probability", [0.5]),
        ("xtc_threshold", [0.1]),
        ("logit_bias", [{"STOP": 5, "2": False}]),
        ("eos_token", [[VOCABULARY.token("END")], [0]]),
        ("parse_reasoning", [False]),
        ("include_reasoning", [False]),
    ):
        if draw(st.booleans()):
            body[name] = draw(st.sampled_from(values))
    kind = draw(st.sampled_from(["free", "min_tokens", "json", "regex", "tools", "required"]))
    if kind in PREFIXES and draw(st.booleans()):
        content = draw(st.sampled_from(PREFIXES[kind]))
        body["messages"].append({"role": "assistant", "content": content, "prefix": True})
    match kind:
        case "min_tokens":
            body["min_tokens"] = draw(st.integers(1, body["max_tokens"]))
        case "json":
            schema = {"name": "s", "schema": SCHEMA}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        case "regex":
            body["response_format"] = {"type": "regex", "schema": "(a|é|日本){2,5}"}
        case "tools":
            body["tools"] = TOOLS
            body["parallel_tool_calls"] = draw(st.booleans())
        case "required":
            body["tools"], body["tool_choice"] = TOOLS, "required"
    return body


def budgeted(source: str, body: dict[str, Any], budget: int | None) -> dict[str, Any]:
    return {**body, "reasoning_budget": budget} if budget and source != PLAIN else body
