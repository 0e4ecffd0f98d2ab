"""What must be there before an endpoint can serve: each check is one function and one finding."""

import contextlib
import errno
import platform
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from friendli_endpoint.access import AccessError, policy_of
from friendli_endpoint.chat.prompt.template import ChatTemplate, ChatTemplateError
from friendli_endpoint.engine.llama.capacity import available_memory, available_threads, fit
from friendli_endpoint.engine.llama.context import FLASH_CACHE_TOKENS
from friendli_endpoint.engine.llama.gguf.model_file import ModelFile, read_model_file
from friendli_endpoint.engine.llama.gguf.reading import GgufError, read_header
from friendli_endpoint.engine.llama.library import LibraryError, find_library, load
from friendli_endpoint.engine.llama.model import ModelError, find_embedded_model
from friendli_endpoint.engine.llama.trials import Trials
from friendli_endpoint.files import read_text
from friendli_endpoint.settings import Settings

__all__ = ["Finding", "look"]

DISTRIBUTION = "friendli-dedicated"
BRING_THE_ENDPOINT = f"pip install '{DISTRIBUTION}[endpoint]'"
TEMPLATE_KEY = "tokenizer.chat_template"
OLDEST_PYTHON = (3, 11)
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        check: What was looked at.
        says: What was found.
        do: What to do about it; None where nothing is wrong.
    """

    check: str
    says: str
    do: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.do is None


def look(settings: Settings) -> Iterator[Finding]:
    """Looks at everything that these settings need; models are tried, but not loaded here."""
    yield _python()
    yield _extras()
    yield _library()
    file, finding = _model(settings.model)
    yield finding
    if file is not None:
        yield _template(settings.chat_template, file.path)
        yield _memory(settings.max_sequences, settings.context, file)
        if settings.adapter:
            yield _adapters(file.path, settings.adapter)
    yield _threads(settings.threads)
    yield _port(settings.host, settings.port)
    yield _access(settings)


def _python() -> Finding:
    wanted = ".".join(map(str, OLDEST_PYTHON))
    old = sys.version_info < OLDEST_PYTHON
    return Finding("python", platform.python_version(), f"use {wanted} or newer" if old else None)


def _extras() -> Finding:
    """Looks at the packages that each extra of ours asks for."""
    missing: dict[str, list[str]] = {}
    for requirement in metadata.requires(DISTRIBUTION) or ():
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == '(\w+)'", requirement)
        if name and extra and not ("sys_platform" in requirement and sys.platform == "win32"):
            lacking = missing.setdefault(extra[1], [])
            if not _installed(name[0]):
                lacking.append(name[0])
    whole = [extra for extra, lacking in missing.items() if not lacking]
    says = f"installed: {', '.join(whole) or 'none'}"
    if needed := missing.get("endpoint"):
        says += f"; missing: {', '.join(needed)}"
        return Finding("extras", says, BRING_THE_ENDPOINT)
    return Finding("extras", says)


def _installed(name: str) -> bool:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return bool(metadata.version(name))
    return False


def _library() -> Finding:
    try:
        path = find_library()
        version = load(path).llama_version().decode(errors="replace")
    except LibraryError as error:
        lacks_openmp = "libgomp" in str(error)
        todo = "apt-get install libgomp1" if lacks_openmp else BRING_THE_ENDPOINT
        return Finding("library", str(error), todo)
    return Finding("library", f"llama.cpp {version}, its interface is known ({path})")


def _model(path: Path | None) -> tuple[ModelFile | None, Finding]:
    try:
        found = path or find_embedded_model()
    except ModelError:
        pull = "friendli-endpoint pull embedded, or name a GGUF file with --model"
        return None, Finding("model", "the embedded model is not installed", pull)
    try:
        file = read_model_file(found)
        Trials().try_model(found)
    except (GgufError, ModelError) as error:
        return None, Finding("model", str(error), "name a GGUF file with --model, or pull one")
    kind = f"{file.architecture}, {file.quantisation or 'quantisation unknown'}"
    return file, Finding("model", f"{file.path.name} ({kind}, {file.size // MIB:,} MiB)")


def _template(named: Path | None, model: Path) -> Finding:
    try:
        given = read_text(named) if named is not None else ""
        source = given or read_header(model).metadata.get(TEMPLATE_KEY)
        if not source:
            todo = "name a Jinja file with --chat-template"
            return Finding("template", "the model has none", todo)
        ChatTemplate(str(source), {})
    except (OSError, UnicodeDecodeError) as error:
        return Finding("template", f"cannot read {named}: {error}", "name another file")
    except ChatTemplateError as error:
        return Finding("template", str(error), "name another file with --chat-template")
    return Finding("template", str(named) if given else "the model's own")


def _memory(sequences: int, context: int, file: ModelFile) -> Finding:
    """Looks whether the caches fit beside the weights."""
    free = available_memory()
    if free is None or file.kv_bytes_per_token is None:
        return Finding("memory", "what is free or what is needed is not known")
    trained = file.context or context
    left = max(0, free - file.size)
    fits = fit(
        sequences,
        context,
        train_context=trained,
        bytes_per_token=file.kv_bytes_per_token,
        free_bytes=left,
        extra_tokens=FLASH_CACHE_TOKENS,
    )
    wanted = min(context, trained)
    needed = sequences * (wanted + FLASH_CACHE_TOKENS) * file.kv_bytes_per_token
    says = (
        f"{sequences} x {wanted} tokens need {needed // MIB:,} MiB beside the model's "
        f"{file.size // MIB:,} MiB; {free // MIB:,} MiB are free"
    )
    if (fits.sequences, fits.context) == (sequences, wanted):
        return Finding("memory", says)
    return Finding("memory", says, f"--max-sequences {fits.sequences} --context {fits.context}")


def _adapters(model: Path, adapters: Sequence[str]) -> Finding:
    paths = [Path(adapter.partition("=")[2]) for adapter in adapters]
    try:
        Trials().try_adapters(model, paths)
    except ModelError as error:
        return Finding("adapters", str(error), "name another file with --adapter")
    return Finding("adapters", ", ".join(path.name for path in paths))


def _threads(wanted: int | None) -> Finding:
    there = available_threads()
    says = f"{wanted or there} of {there} processors"
    return Finding("threads", says, f"--threads {there}" if (wanted or 0) > there else None)


def _port(host: str, port: int) -> Finding:
    address = f"{host}:{port}"
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return Finding("port", f"{address} is in use", "choose another one with --port")
        why = f"cannot listen on {address}"
        return Finding("port", why, "choose an address of this machine with --host")
    return Finding("port", f"{address} is free")


def _access(settings: Settings) -> Finding:
    try:
        tokens = policy_of(settings).tokens
    except AccessError as error:
        return Finding("access", str(error), "set FRIENDLI_ENDPOINT_TOKENS, or a --token-file")
    return Finding("access", "with a token" if tokens else "without a token")
