"""`friendli-endpoint` and `python -m friendli_endpoint`: the command line, if installed."""

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line; without the `endpoint` extra, says how to install it."""
    try:
        from friendli_endpoint.cli import main as run

        run()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("friendli"):
            raise
        sys.exit(
            f"friendli-endpoint: {error.name} is not installed; install the endpoint's packages "
            "with: pip install 'friendli-dedicated[endpoint]'"
        )


if __name__ == "__main__":
    main()
