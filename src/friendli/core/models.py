"""Older import path of `friendli.models`."""

from __future__ import annotations

from friendli.models import *  # noqa: F403
from friendli.models import __all__ as __all__
