"""`friendli.config`: what a client was configured with."""

from __future__ import annotations

from friendli._client import Config

__all__ = ["Config"]
