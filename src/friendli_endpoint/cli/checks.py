"""Checks of everything that an endpoint needs to serve: one function and one result each."""

import contextlib
import ctypes
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from friendli._install import DISTRIBUTION, install_extra
from friendli_endpoint.access import AccessError, policy_of, readable_secrets
from friendli_endpoint.chat.prompt.recognition import family_of
from friendli_endpoint.chat.prompt.template import ChatTemplate, ChatTemplateError
from friendli_endpoint.chat.tools import FAMILIES, family_named
from friendli_endpoint.cli.program import program
from friendli_endpoint.engine.llama.backends import devices
from friendli_endpoint.engine.llama.capacity import available_memory, fit
from friendli_endpoint.engine.llama.context import FLASH_CACHE_TOKENS
from friendli_endpoint.engine.llama.gguf.model_file import ModelFile, read_model_file
from friendli_endpoint.engine.llama.gguf.reading import GgufError, read_header
from friendli_endpoint.engine.llama.library import LibraryError, check_gpu, find_library, load
from friendli_endpoint.engine.llama.model import ModelError, find_embedded_model
from friendli_endpoint.engine.llama.processors import available_threads, measure_free
from friendli_endpoint.engine.llama.trials import Trials
from friendli_endpoint.files import format_size, read_text
from friendli_endpoint.server.listening import ListenError, format_address, listen
from friendli_endpoint.settings import Settings

__all__ = ["CheckResult", "run_checks"]

TEMPLATE_KEY = "tokenizer.chat_template"
MIN_PYTHON = (3, 11)
MAX_BUSY = 0.6
"""Number of processors in use by other programs above which the endpoint is slower."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of a check; `doctor --json` prints its fields.

    Attributes:
        check: Name of the check.
        says: Description of the result.
        do: Suggested fix; None if the check passed.
    """

    check: str
    says: str
    do: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the check passed."""
        return self.do is None


def run_checks(settings: Settings) -> Iterator[CheckResult]:
    """Yields the result of every check; the model and adapters are loaded in another process."""
    yield _python()
    yield _extras()
    library, result = _library(settings.library)
    yield result
    if library is not None:
        yield _devices(library, settings.gpu_layers)
    trials = Trials(settings.library, settings.gpu_layers)
    file, result = _model(settings.model, trials)
    yield result
    if file is not None:
        source, result = _template(settings.chat_template, file.path)
        yield result
        if source is not None:
            yield _tools(settings.tool_family, source)
        yield _memory(settings, file)
        if settings.adapter:
            yield _adapters(file.path, settings.adapter, settings.max_adapters, trials)
    yield _threads(settings.threads)
    yield _port(settings.host, settings.port)
    yield _access(settings)


def _python() -> CheckResult:
    required = ".".join(map(str, MIN_PYTHON))
    fix = f"use {required} or newer" if sys.version_info < MIN_PYTHON else None
    return CheckResult("python", platform.python_version(), fix)


def _extras() -> CheckResult:
    """Checks that the packages of each extra are installed."""
    missing: dict[str, list[str]] = {}
    for requirement in metadata.requires(DISTRIBUTION) or ():
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == '(\w+)'", requirement)
        if name and extra and not ("sys_platform" in requirement and sys.platform == "win32"):
            packages = missing.setdefault(extra[1], [])
            if not _is_installed(name[0]):
                packages.append(name[0])
    complete = [extra for extra, packages in missing.items() if not packages]
    says = f"installed: {', '.join(complete) or 'none'}"
    if needed := missing.get("endpoint"):
        says += f"; missing: {', '.join(needed)}"
        return CheckResult("extras", says, install_extra("endpoint"))
    return CheckResult("extras", says)


def _is_installed(name: str) -> bool:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return bool(metadata.version(name))
    return False


def _library(path: Path | None) -> tuple[ctypes.CDLL | None, CheckResult]:
    """Checks the C library; also returns it if it can be used."""
    try:
        found = find_library(path)
        library = load(found, gpu=True)
    except LibraryError as error:
        fix = install_extra("endpoint") if path is None else "set --library to another file"
        if "libgomp" in str(error):
            fix = "apt-get install libgomp1"
        return None, CheckResult("library", str(error), fix)
    version = library.llama_version().decode(errors="replace")
    return library, CheckResult("library", f"llama.cpp {version}, ABI supported ({found})")


def _devices(library: ctypes.CDLL, gpu_layers: int) -> CheckResult:
    """Lists what the library can compute on."""
    says = "; ".join(
        f"{device.name} ({device.description}, {device.kind}, "
        f"{format_size(device.free_bytes)} free)"
        for device in devices(library)
    )
    try:
        if gpu_layers:
            check_gpu(library)
    except LibraryError as error:
        return CheckResult("devices", f"{says}; {error}", "--gpu-layers 0")
    return CheckResult("devices", says)


def _model(path: Path | None, trials: Trials) -> tuple[ModelFile | None, CheckResult]:
    try:
        found = path or find_embedded_model()
    except ModelError:
        fix = f"{program()} pull embedded, or set --model to a GGUF file"
        return None, CheckResult("model", "the embedded model is not installed", fix)
    try:
        file = read_model_file(found)
        trials.try_model(found)
    except (GgufError, ModelError) as error:
        return None, CheckResult("model", str(error), "set --model to a GGUF file, or pull one")
    details = f"{file.architecture}, {file.quantisation or 'unknown quantization'}"
    return file, CheckResult("model", f"{file.path.name} ({details}, {format_size(file.size)})")


def _template(path: Path | None, model: Path) -> tuple[str | None, CheckResult]:
    """Checks the chat template; also returns its source if it compiles."""
    try:
        text = read_text(path) if path is not None else ""
        source = text or read_header(model).metadata.get(TEMPLATE_KEY)
        if not source:
            fix = "set --chat-template to a Jinja file"
            return None, CheckResult("template", "the model has no chat template", fix)
        ChatTemplate(str(source), {})
    except (OSError, UnicodeDecodeError) as error:
        fix = "set --chat-template to another file"
        return None, CheckResult("template", f"cannot read {path}: {error}", fix)
    except ChatTemplateError as error:
        fix = "set --chat-template to another file"
        return None, CheckResult("template", str(error), fix)
    return str(source), CheckResult("template", str(path) if text else "the model's own")


def _tools(name: str | None, template: str) -> CheckResult:
    """Checks the format of tool calls; requests without tools do not need a known one."""
    known = ", ".join(family.name for family in FAMILIES)
    if name:
        try:
            family_named(name)
        except KeyError as error:
            return CheckResult("tools", str(error.args[0]), f"set --tool-family to one of {known}")
        return CheckResult("tools", f"calls in the format {name}, as set")
    if family := family_of(template):
        return CheckResult("tools", f"calls in the format {family.name}")
    return CheckResult(
        "tools",
        "the template's format of tool calls is unknown: requests with tools are refused; "
        f"--tool-family can set one of {known}",
    )


def _memory(settings: Settings, file: ModelFile) -> CheckResult:
    """Checks that the KV caches fit into the memory that the weights leave free."""
    sequences, context = settings.max_sequences, settings.context
    num_engines = max(1, settings.engines)
    free = available_memory()
    if free is None or file.kv_bytes_per_token is None:
        return CheckResult("memory", "the free or the required memory is not known")
    trained = file.context or context
    remaining = max(0, free // num_engines - file.size)
    fits = fit(
        sequences,
        context,
        train_context=trained,
        bytes_per_token=file.kv_bytes_per_token,
        free_bytes=remaining,
        extra_tokens=FLASH_CACHE_TOKENS,
    )
    max_context = min(context, trained)
    needed = sequences * (max_context + FLASH_CACHE_TOKENS) * file.kv_bytes_per_token
    of_engines = f"in each of {num_engines} engines, " if num_engines > 1 else ""
    says = (
        f"{of_engines}{sequences} x {max_context} tokens need {format_size(needed)} in addition to "
        f"the model's {format_size(file.size)}; {format_size(free)} are free"
    )
    if (fits.sequences, fits.context) == (sequences, max_context):
        return CheckResult("memory", says)
    return CheckResult("memory", says, f"--max-sequences {fits.sequences} --context {fits.context}")


def _adapters(
    model: Path, adapters: Sequence[str], max_adapters: int, trials: Trials
) -> CheckResult:
    if (number := len({adapter.partition("=")[0] for adapter in adapters})) > max_adapters:
        says = f"{number} adapters, but --max-adapters is {max_adapters}"
        return CheckResult("adapters", says, f"--max-adapters {number}")
    paths = [Path(adapter.partition("=")[2]) for adapter in adapters]
    try:
        trials.try_adapters(model, paths)
    except ModelError as error:
        return CheckResult("adapters", str(error), "set --adapter to another file")
    return CheckResult("adapters", ", ".join(path.name for path in paths))


def _threads(num_threads: int | None) -> CheckResult:
    available = available_threads()
    says = f"{num_threads or available} of {available} processors"
    fix = f"--threads {available}" if (num_threads or 0) > available else None
    free = measure_free()
    if free is not None and free < available - MAX_BUSY:
        says += (
            f"; other programs use {available - free:.1f} of them, so answers are slower, and "
            "computed with fewer threads"
        )
    return CheckResult("threads", says, fix)


def _port(host: str, port: int) -> CheckResult:
    try:
        listen(host, port).close()
    except ListenError as error:
        return CheckResult("port", error.reason, error.fix)
    return CheckResult("port", f"{format_address(host, port)} is free")


def _access(settings: Settings) -> CheckResult:
    try:
        tokens = policy_of(settings).tokens
    except AccessError as error:
        return CheckResult("access", str(error), "set FRIENDLI_ENDPOINT_TOKENS or --token-file")
    says = "with a token" if tokens else "without a token"
    if readable := [str(path) for path in readable_secrets(settings)]:
        says += f"; other users can read {', '.join(readable)}"
        return CheckResult("access", says, f"chmod 600 {' '.join(readable)}")
    return CheckResult("access", says)
