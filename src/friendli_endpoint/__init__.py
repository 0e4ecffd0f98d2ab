"""The service that answers `POST /dedicated/v1/chat/completions` with a real model."""

from friendli._version import VERSION

__all__ = ["__version__"]

__version__ = VERSION
