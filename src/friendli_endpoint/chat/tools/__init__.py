"""Tool calls: one module per family of models, and the lookup of a family by its name."""

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
from friendli_endpoint.chat.tools.glm import Glm
from friendli_endpoint.chat.tools.hermes import Hermes
from friendli_endpoint.chat.tools.llama3 import Llama3
from friendli_endpoint.chat.tools.mistral import Mistral, MistralArgs
from friendli_endpoint.chat.tools.pythonic import BarePythonic, MarkedPythonic
from friendli_endpoint.chat.tools.qwen_coder import QwenCoder

__all__ = [
    "DEFAULT_FAMILY",
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
]

DEFAULT_FAMILY: Family = Hermes()
"""The family of models whose chat template has no place for tools."""

FAMILIES: tuple[Family, ...] = (
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
    DEFAULT_FAMILY,
    Llama3(),
)
"""All families; the first that recognises a template is used.

The order is from specific to general: the tags of Functionary are recognised by the absence of
another tag.
"""


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
