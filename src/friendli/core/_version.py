"""Older import path of the client's version."""

from __future__ import annotations

from friendli._version import VERSION as __version__

__all__ = ["__version__"]
