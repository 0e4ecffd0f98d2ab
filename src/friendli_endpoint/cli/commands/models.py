"""`friendli-endpoint models`: lists the local model files, or the models of an endpoint."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["models"]


def models(
    url: Annotated[
        str | None,
        typer.Option(help="List the models of this endpoint.", show_default="this machine"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--in", help="Folder of model files.", show_default="the user's cache"),
    ] = None,
) -> None:
    """List the model files on this machine, or the models of an endpoint."""
    from friendli_endpoint.cache import cache_folder
    from friendli_endpoint.cli.errors import exit_with_error
    from friendli_endpoint.cli.models import local_models, print_rows, remote_models
    from friendli_endpoint.cli.served import UnreachableError

    try:
        if url is not None:
            print_rows(remote_models(url))
        else:
            print_rows(local_models(folder or cache_folder()))
    except UnreachableError as error:
        exit_with_error(str(error))
