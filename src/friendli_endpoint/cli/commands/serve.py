"""`friendli-endpoint serve`: runs a server until a signal."""

from typing import Any

from friendli_endpoint.cli.errors import exit_with_error
from friendli_endpoint.cli.flags import read_settings, with_settings

__all__ = ["serve"]


@with_settings
def serve(**flags: Any) -> None:
    """Load a model and serve requests until stopped.

    Every option can also be set in the environment, such as FRIENDLI_ENDPOINT_MAX_SEQUENCES=4, or
    in a TOML file, such as max_sequences = 4. Flags override variables, which override the file.
    """
    settings = read_settings(flags)
    from friendli_endpoint.cli.serve import end_process, print_banner, start_logging
    from friendli_endpoint.generation import StartError
    from friendli_endpoint.own_thread import is_out_of_memory
    from friendli_endpoint.server.run import run

    try:
        start_logging(settings)
        run(settings, print_banner)
    except StartError as error:
        exit_with_error(str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        exit_with_error("there is not enough memory to serve")
    end_process()
