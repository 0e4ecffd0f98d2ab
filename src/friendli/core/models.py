"""Older import path of `friendli.models`, and of its modules in the published client.

Editors complete imports to the module of a class, such as `friendli.core.models.usermessage`. Each
of these names is another name of this module.
"""

from __future__ import annotations

import sys
from typing import Final

from friendli.models import *  # noqa: F403
from friendli.models import __all__ as __all__

_OTHER_MODULES: Final = (
    "chatlogprobs_input",
    "chatlogprobs_output",
    "dedicatedchatcompleteop",
    "dedicatedchatstreamop",
    "no_response_error",
)
"""Modules that are not named as a class."""

for _module in (*(name.lower() for name in __all__), *_OTHER_MODULES):
    sys.modules[f"{__name__}.{_module}"] = sys.modules[__name__]
