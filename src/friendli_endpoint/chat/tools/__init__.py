"""Tool calls: one module per family of models, and the lookup of a family by its name."""

from collections.abc import Mapping

from friendli_endpoint.chat.tools.apertus import Apertus
from friendli_endpoint.chat.tools.command_r import CommandR
from friendli_endpoint.chat.tools.deepseek import DeepSeek
from friendli_endpoint.chat.tools.family import (
    CallArguments,
    CallBegin,
    CallEnd,
    CallEvent,
    CallParser,
    CallReasoning,
    CallText,
    Family,
    Marker,
    ToolSpec,
)
from friendli_endpoint.chat.tools.functionary import FunctionaryRecipients, FunctionaryTags
from friendli_endpoint.chat.tools.gemma import Gemma
from friendli_endpoint.chat.tools.gigachat import GigaChat
from friendli_endpoint.chat.tools.glm import Glm
from friendli_endpoint.chat.tools.granite import GRANITE
from friendli_endpoint.chat.tools.harmony import Harmony
from friendli_endpoint.chat.tools.hermes import Hermes
from friendli_endpoint.chat.tools.invoke import InvokeTags
from friendli_endpoint.chat.tools.kimi_k2 import KimiK2
from friendli_endpoint.chat.tools.llama3 import Llama3
from friendli_endpoint.chat.tools.minicpm import MiniCpm
from friendli_endpoint.chat.tools.mistral import Mistral, MistralArgs
from friendli_endpoint.chat.tools.nemotron import NEMOTRON
from friendli_endpoint.chat.tools.parameter_tags import ParameterTags
from friendli_endpoint.chat.tools.phi4 import Phi4
from friendli_endpoint.chat.tools.pythonic import BarePythonic, MarkedPythonic
from friendli_endpoint.chat.tools.solar import Solar
from friendli_endpoint.chat.tools.tool_calls import TOOL_CALLS

__all__ = [
    "DEFAULT_FAMILY",
    "FAMILIES",
    "MARKUP_FAMILIES",
    "CallArguments",
    "CallBegin",
    "CallEnd",
    "CallEvent",
    "CallParser",
    "CallReasoning",
    "CallText",
    "Family",
    "Marker",
    "ToolSpec",
    "family_named",
]

DEFAULT_FAMILY: Family = Hermes()
"""The family of models whose chat template has no place for tools."""

FAMILIES: tuple[Family, ...] = (
    ParameterTags("seed", "seed:tool_call", lines=False),
    GRANITE,
    Phi4(),
    NEMOTRON,
    TOOL_CALLS,
    Apertus(),
    Solar(),
    GigaChat(),
    MiniCpm(),
    Gemma("gemma4", "<|tool_call>", "<tool_call|>", '<|"|>'),
    Gemma("functiongemma", "<start_function_call>", "<end_function_call>", "<escape>"),
    ParameterTags("qwen_coder", "tool_call", lines=True),
    FunctionaryTags(),
    FunctionaryRecipients(),
    Glm(),
    DeepSeek("deepseek_v3", fenced=True),
    DeepSeek("deepseek_v31", fenced=False),
    InvokeTags("deepseek_v32", "function_calls", prefix="｜DSML｜", typed=True),  # noqa: RUF001
    InvokeTags("deepseek_v4", "tool_calls", prefix="｜DSML｜", typed=True),  # noqa: RUF001
    InvokeTags("minimax_m2", "minimax:tool_call"),
    Harmony(),
    KimiK2(),
    CommandR(),
    MistralArgs(),
    Mistral(),
    MarkedPythonic(),
    BarePythonic(),
    DEFAULT_FAMILY,
    Llama3(),
)
"""All families; the first that recognises a template is used.

The order is from specific to general: the tags of Functionary are recognised by the absence of
another tag.
"""

MARKUP_FAMILIES: Mapping[str, Family] = {"harmony": Harmony()}
"""The families that write markup around text without calls, too, by reasoning style."""


def family_named(name: str) -> Family:
    """Returns the family with this name.

    Raises:
        KeyError: The family does not exist; the message lists the known ones.
    """
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise KeyError(f"the tool-call family {name!r} does not exist; known families: {known}")
