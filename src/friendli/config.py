"""`friendli.config`: import path of the configuration of a client."""

from __future__ import annotations

from friendli._client import Config

__all__ = ["Config"]
