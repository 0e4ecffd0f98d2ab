"""`friendli-endpoint pull`: downloads a model file from a hub or URL, or the embedded model."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["pull"]

HUB = "https://huggingface.co"


def pull(
    what: Annotated[
        str,
        typer.Argument(
            help="OWNER/REPO:FILE.gguf (or OWNER/REPO@REVISION:FILE.gguf) of a hub, a URL, "
            "or the word embedded."
        ),
    ],
    to: Annotated[
        Path | None, typer.Option(help="Target folder.", show_default="the user's cache")
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(
            help="Expected SHA-256 checksum, in hexadecimal.", show_default="the hub's, if any"
        ),
    ] = None,
    hub: Annotated[
        str, typer.Option(help="URL of the hub of OWNER/REPO:FILE.gguf.", envvar="HF_ENDPOINT")
    ] = HUB,
) -> None:
    """Download a model file, to serve with --model.

    If the connection breaks or the disk is full, the partial file is kept, and the same command
    resumes the download. HF_TOKEN, if set, is sent only to the hub.
    """
    from friendli_endpoint.cache import cache_folder
    from friendli_endpoint.cli.errors import print_error
    from friendli_endpoint.cli.http_client import ClientError
    from friendli_endpoint.cli.program import program
    from friendli_endpoint.cli.pull import file_name, pull_embedded, pull_file, source_of
    from friendli_endpoint.cli.transfer import TransferError

    if what == "embedded":
        raise typer.Exit(pull_embedded())
    source = source_of(what, hub.rstrip("/"), sha256)
    target = (to or cache_folder()) / file_name(source)
    try:
        done = pull_file(source, target)
    except (TransferError, ClientError) as error:
        print_error(str(error))
        raise typer.Exit(1) from error
    except KeyboardInterrupt as stop:
        print_error("stopped; the same command resumes the download")
        raise typer.Exit(130) from stop
    typer.echo(f"{target} {done}. Serve it:  {program()} serve --model {target}")
