"""`friendli-endpoint` and `python -m friendli_endpoint`: the command line, if it is there."""

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line; without what the `endpoint` extra brings, says how to get it."""
    try:
        from friendli_endpoint.cli import main as run

        run()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("friendli"):
            raise
        sys.exit(
            f"friendli-endpoint: {error.name} is not installed; bring what the endpoint needs "
            "with: pip install 'friendli-dedicated[endpoint]'"
        )


if __name__ == "__main__":
    main()
