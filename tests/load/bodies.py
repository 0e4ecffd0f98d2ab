"""Generated request bodies: every field with valid and invalid values, wide, deep and unusual."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

import httpx2

from tests.contract.live import COMPLETIONS, JSON_TYPE
from tests.contract.served import Served
from tests.load.attack import TIMEOUT_SECONDS, attack

__all__ = ["FIELDS", "bodies", "body"]

Json = Any
Draw = random.Random

INTEGERS = [0, -1, 1, 2, 3, 21, 300, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**30, -(10**400)]
FLOATS = [0.0, -0.0, 0.5, -2.0, 1e-320, 1e308, float("nan"), float("inf"), -float("inf")]
TEXTS = ["", " ", "a", "\0", "\n", "é", "\U0001f600", "\ufdd0", "\ud800", "\u202e", "a\u0301" * 9]
TEXTS += ["<|im_end|>", "<think>", "<tool_call>", "{{ 7 * 7 }}", "{% for %}", "NaN", "__class__"]
TEXTS += ["../../etc/passwd", "m:../x", "user", "assistant", "text", "image_url", "function"]
RAW = ["1e999", "-1E+400", "9" * 400, "9" * 5_000, "0." + "1" * 400, "-0", "1e-999", "NaN", "01"]
PATHS = ["/dedicated/v1/chat/render", "/dedicated/v1/tokenize", "/dedicated/v1/detokenize"]
PATHS += ["/dedicated/v1/adapters"]


# ── values of any kind ───────────────────────────────────────────────────────────────────────


def size(draw: Draw, max_size: int) -> int:
    """Draws a length up to `max_size`, with small ones more likely."""
    return int(max_size ** (draw.random() ** 2))


def text(draw: Draw) -> str:
    return draw.choice(TEXTS) * (size(draw, 200_000) if draw.random() < 0.2 else 1)


def scalar(draw: Draw) -> Json:
    kinds = (INTEGERS, FLOATS, TEXTS, [None, True, False])
    return draw.choice(draw.choice(kinds)) if draw.random() < 0.9 else text(draw)


def wide(draw: Draw, item: Json) -> list[Json]:
    return [item] * size(draw, min(200_000, 1_500_000 // len(json.dumps(item))))


def deep(draw: Draw, value: Json) -> Json:
    for _ in range(size(draw, 400)):
        value = [value] if draw.random() < 0.5 else {draw.choice(TEXTS): value}
    return value


def any_value(draw: Draw, depth: int = 0) -> Json:
    kind = draw.randrange(8 if depth < 3 else 3)
    if kind < 3:
        return scalar(draw)
    if kind == 3:
        return wide(draw, any_value(draw, depth + 2))
    if kind == 4:
        return deep(draw, scalar(draw))
    if kind == 5:
        return {f"{draw.choice(TEXTS)}{n}": scalar(draw) for n in range(size(draw, 30_000))}
    items = [any_value(draw, depth + 1) for _ in range(draw.randrange(4))]
    return items if kind == 6 else {draw.choice(TEXTS): item for item in items}


# ── values of the right type ─────────────────────────────────────────────────────────────────


def several(draw: Draw, make: Callable[[Draw], Json], max_size: int = 4) -> list[Json]:
    """Draws a short list, sometimes with an item of another type or with very many equal items."""
    items = [make(draw) for _ in range(draw.randrange(max_size))]
    if draw.random() < 0.15:
        items.insert(draw.randrange(len(items) + 1), any_value(draw, 2))
    return wide(draw, items[0]) if items and draw.random() < 0.15 else items


def part(draw: Draw) -> Json:
    if draw.random() < 0.8:
        return {"type": "text", "text": text(draw)}
    kind = draw.choice(["image_url", "audio_url", "video_url", "smell"])
    return {"type": kind, kind: {"url": draw.choice(["data:image/png;base64,AAAA", *TEXTS])}}


def call(draw: Draw) -> Json:
    arguments = draw.choice(['{"a": 1}', "{", "[" * size(draw, 5_000), text(draw)])
    return {"id": text(draw), "function": {"name": draw.choice("fgh"), "arguments": arguments}}


def message(draw: Draw) -> Json:
    role = draw.choice(["system", "developer", "user", "user", "assistant", "tool", "clown"])
    content = text(draw) if draw.random() < 0.5 else several(draw, part)
    made = {"role": role, "content": content}
    if role == "assistant" and draw.random() < 0.5:
        made["tool_calls"] = several(draw, call)
    if role == "tool":
        made["tool_call_id"] = text(draw)
    if draw.random() < 0.1:
        names = ["name", "ROLE", "reasoning_content", "prefix", "partial", "x"]
        made[draw.choice(names)] = any_value(draw, 2)
    return made


def schema(draw: Draw, depth: int = 0) -> Json:
    """Draws a JSON schema with up to a few hundred nodes."""
    kind = draw.choice(["string", "integer", "boolean", "enum", *["object", "array", "anyOf"] * 2])
    if depth > 3 or kind in ("string", "integer", "boolean"):
        bound = draw.choice(["maxLength", "minimum", "pattern", "format", "multipleOf", "$ref"])
        return {"type": draw.choice(["string", "integer", "boolean"]), bound: scalar(draw)}
    if kind == "enum":
        return {"enum": [scalar(draw) for _ in range(size(draw, 200))]}
    inner = [schema(draw, depth + 1) for _ in range(draw.randrange(1, 4))]
    if kind == "object":
        names = [f"{draw.choice(TEXTS)}{n}" for n in range(len(inner))]
        properties = dict(zip(names, inner, strict=True))
        return {"type": "object", "properties": properties, "required": names[:1]}
    return {"type": "array", "items": inner[0]} if kind == "array" else {"anyOf": inner}


def tool(draw: Draw) -> Json:
    function = {"name": draw.choice(["f", "g", text(draw)]), "parameters": schema(draw)}
    return {"type": "function", "function": function}


def response_format(draw: Draw) -> Json:
    kind = draw.choice(["text", "json_object", "json_schema", "regex", "xml"])
    if kind == "json_schema":
        return {"type": kind, kind: {"schema": schema(draw)}}
    patterns = ["[ab]{1,3}", "(a|a)*" * 20, "(" * size(draw, 500), "a{1000}{1000}", text(draw)]
    return {"type": kind, **({"schema": draw.choice(patterns)} if kind == "regex" else {})}


def number(draw: Draw) -> Json:
    return draw.choice([0, 0.5, 1, draw.uniform(-3, 3), scalar(draw)])


def count(draw: Draw) -> Json:
    return draw.choice([0, 1, 2, 3, -(10**30), "1", None])


def flag(draw: Draw) -> Json:
    return draw.choice([True, False, None, scalar(draw)])


def integer(draw: Draw) -> int:
    return draw.choice(INTEGERS)


_NUMBERS = "frequency_penalty min_p presence_penalty repetition_penalty temperature top_p "
_NUMBERS += "xtc_threshold xtc_probability"
_COUNTS = "max_tokens max_completion_tokens min_tokens n reasoning_budget top_k top_logprobs"
_FLAGS = "logprobs parallel_tool_calls stream parse_reasoning include_reasoning "
_FLAGS += "continue_final_message add_generation_prompt"
FIELDS: dict[str, Callable[[Draw], Json]] = {
    **dict.fromkeys(_NUMBERS.split(), number),
    **dict.fromkeys(_COUNTS.split(), count),
    **dict.fromkeys(_FLAGS.split(), flag),
    "model": lambda draw: draw.choice(["m", "m:nowhere", text(draw)]),
    "messages": lambda draw: several(draw, message, 6),
    "chat_template_kwargs": lambda draw: {"a": any_value(draw), "enable_thinking": flag(draw)},
    "eos_token": lambda draw: several(draw, integer),
    "logit_bias": lambda draw: {str(n): number(draw) for n in range(size(draw, 100_000))},
    "reasoning_effort": lambda draw: draw.choice(["low", "high", text(draw)]),
    "seed": lambda draw: draw.choice([integer(draw), several(draw, integer)]),
    "stop": lambda draw: draw.choice([text(draw), several(draw, text)]),
    "stream_options": lambda draw: {"include_usage": flag(draw)},
    "tool_choice": lambda draw: draw.choice(["auto", "none", "required", tool(draw)]),
    "tools": lambda draw: several(draw, tool),
    "response_format": response_format,
}
"""Generators of values by field of a chat completion."""


def body(draw: Draw) -> bytes:
    """Draws a body with a few fields, whose JSON text may be corrupted at the end."""
    names = draw.sample(sorted(FIELDS), draw.randrange(6))
    fields = {"model": "m", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 2}
    if draw.random() < 0.15:  # fields of the other routes
        fields |= {name: any_value(draw) for name in ("prompt", "tokens", "route", "file", "x")}
    for name in names:
        fields[name] = FIELDS[name](draw) if draw.random() < 0.7 else any_value(draw)
    if draw.random() < 0.05:
        fields |= {f"unknown{n}": 0 for n in range(size(draw, 150_000))}
    written = json.dumps(fields, ensure_ascii=draw.random() < 0.7)
    if draw.random() < 0.15:
        again = f"{json.dumps(draw.choice(list(fields)))}: {json.dumps(any_value(draw, 2))}, "
        written = "{" + again * size(draw, 3_000_000 // len(again) + 1) + written[1:]
    if draw.random() < 0.15:
        written = re.sub(r"(?<=[:, \[])\d+", draw.choice(RAW), written, count=draw.randrange(1, 4))
    content = written.encode("utf-8", "surrogatepass")
    if draw.random() < 0.1:
        place = draw.randrange(len(content))
        content = draw.choice([content[:place], content[:place] + b"\xff" + content[place:]])
    return content


def bodies(cases: int, *flags: str, first: int = 0) -> dict[str, Any]:
    """Posts generated bodies to a real endpoint, mostly as chat completions.

    Args:
        cases: Number of bodies.
        flags: Further flags of `serve`.
        first: Number of the first case, to repeat a failed one.
    """
    client = httpx2.Client(timeout=TIMEOUT_SECONDS, trust_env=False)

    def attempt(endpoint: Served, draw: Draw) -> list[int]:
        path = COMPLETIONS if draw.random() < 0.85 else draw.choice(PATHS)
        try:
            sent = client.post(endpoint.address + path, content=body(draw), headers=JSON_TYPE)
            return [sent.status_code]
        except httpx2.TimeoutException as error:
            raise TimeoutError from error
        except httpx2.TransportError:
            return []  # the endpoint closed the connection because the body is too large

    with client:
        return attack("bodies", cases, attempt, *flags, first=first)
