"""`friendli-endpoint` and `python -m friendli_endpoint`: the command line, if installed."""

import sys

__all__ = ["main"]


INTERRUPTED = 130
"""Exit code of a program that Ctrl-C has ended."""


def main() -> None:
    """Runs the command line; without the `endpoint` extra, says how to install it."""
    try:
        from friendli_endpoint.cli import main as run

        run()
    except KeyboardInterrupt:  # while the packages are imported; later, the command handles it
        sys.exit(INTERRUPTED)
    except ImportError as error:
        if not isinstance(error, ModuleNotFoundError) or (error.name or "").startswith("friendli"):
            _exit_if_mixture()
            raise
        from friendli._install import install_extra

        sys.exit(
            f"friendli-endpoint: {error.name} is not installed; install the endpoint's packages "
            f"with: {install_extra('endpoint')}"
        )


def _exit_if_mixture() -> None:
    """Ends the program if another distribution has replaced files of the client."""
    from friendli._mixture import mixture

    sentence = mixture()
    if sentence is not None:
        sys.exit(f"friendli-endpoint: {sentence}")


if __name__ == "__main__":
    main()
