"""Older import path of `friendli.types`."""

from __future__ import annotations

from friendli.types import *  # noqa: F403
from friendli.types import __all__ as __all__
