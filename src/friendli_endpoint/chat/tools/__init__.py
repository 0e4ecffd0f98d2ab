"""Tool calls: one module per family of models, and the table by which a family is found."""

from friendli_endpoint.chat.tools.deepseek import DeepSeek
from friendli_endpoint.chat.tools.family import (
    CallArguments,
    CallBegin,
    CallEnd,
    CallParser,
    Event,
    Family,
    Marker,
    Text,
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
    "FAMILIES",
    "CallArguments",
    "CallBegin",
    "CallEnd",
    "CallParser",
    "Event",
    "Family",
    "Marker",
    "Text",
    "ToolSpec",
    "family_named",
    "family_of",
]

_DEFAULT = Hermes()

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
    _DEFAULT,
    Llama3(),
)
"""All families; the first that recognises a template is the template's.

The order is from what is told by few templates to what is told by many: several forms open with
the marker of Hermes, and what is written between tags of Functionary is told by what is not there.
"""


def family_of(template: str) -> Family:
    """The family that a chat template writes calls for; Hermes where it does not say."""
    return next((family for family in FAMILIES if family.recognises(template)), _DEFAULT)


def family_named(name: str) -> Family:
    """The family of a name.

    Raises:
        KeyError: There is no such family; its message names those there are.
    """
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise KeyError(f"there is no tool-call family {name!r}; there are {known}")
