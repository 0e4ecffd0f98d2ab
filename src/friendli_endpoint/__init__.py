"""The service that answers `POST /dedicated/v1/chat/completions` with a real model."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("friendli-dedicated")
