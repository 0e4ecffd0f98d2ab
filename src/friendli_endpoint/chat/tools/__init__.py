"""Tool calls: one module per family of models, and the lookup of a family."""

from friendli_endpoint.chat.tools.apertus import Apertus
from friendli_endpoint.chat.tools.deepseek import DeepSeek
from friendli_endpoint.chat.tools.family import (
    CallArguments,
    CallBegin,
    CallEnd,
    CallEvent,
    CallParser,
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
from friendli_endpoint.chat.tools.hermes import Hermes
from friendli_endpoint.chat.tools.llama3 import Llama3
from friendli_endpoint.chat.tools.minicpm import MiniCpm
from friendli_endpoint.chat.tools.mistral import Mistral, MistralArgs
from friendli_endpoint.chat.tools.nemotron import NEMOTRON
from friendli_endpoint.chat.tools.phi4 import Phi4
from friendli_endpoint.chat.tools.pythonic import BarePythonic, MarkedPythonic
from friendli_endpoint.chat.tools.qwen_coder import QwenCoder
from friendli_endpoint.chat.tools.seed import Seed
from friendli_endpoint.chat.tools.solar import Solar
from friendli_endpoint.chat.tools.tool_calls import TOOL_CALLS

__all__ = [
    "FAMILIES",
    "CallArguments",
    "CallBegin",
    "CallEnd",
    "CallEvent",
    "CallParser",
    "CallText",
    "Family",
    "Marker",
    "ToolSpec",
    "family_named",
    "family_of",
]

_DEFAULT = Hermes()

FAMILIES: tuple[Family, ...] = (
    Seed(),
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
    QwenCoder(),
    FunctionaryTags(),
    FunctionaryRecipients(),
    Glm(),
    DeepSeek("deepseek_v3", fenced=True),
    DeepSeek("deepseek_v31", fenced=False),
    MistralArgs(),
    Mistral(),
    MarkedPythonic(),
    BarePythonic(),
    _DEFAULT,
    Llama3(),
)
"""All families; the first that recognises a template is used.

The order is from specific to general: several formats begin with the marker of Hermes, and the tags
of Functionary are recognised by the absence of another tag.
"""


def family_of(template: str) -> Family:
    """Returns the family of a chat template; Hermes if none recognises it."""
    return next((family for family in FAMILIES if family.recognises(template)), _DEFAULT)


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
