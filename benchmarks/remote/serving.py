"""Serves the paced engine: `python -m benchmarks.remote.serving '{"engines": 1}'`."""

import json
import sys

from benchmarks.remote.paced import PacedSource
from friendli_endpoint.app import placed
from friendli_endpoint.server.run import Serving, run
from friendli_endpoint.settings import Settings

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Serves on a free port.

    Args:
        arguments: The settings that select the placement, as JSON.
    """
    settings = Settings(port=0, **json.loads(arguments[0]))
    run(settings, _print_address, placed(PacedSource(), settings))


def _print_address(serving: Serving) -> None:
    print(f"Serving {serving.card.name} on {serving.address}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
