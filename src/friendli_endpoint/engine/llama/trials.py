"""Checks model and adapter files and tries them in separate processes, before they are opened."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from friendli_endpoint.engine.llama.allocations import allocation_failure
from friendli_endpoint.engine.llama.gguf.layout import LayoutError, check_layout
from friendli_endpoint.engine.llama.gguf.lora_file import (
    BaseModel,
    check_lora_file,
    read_base_model,
)
from friendli_endpoint.engine.llama.gguf.reading import GgufError, read_header
from friendli_endpoint.engine.llama.library import find_library
from friendli_endpoint.engine.llama.model import ModelError
from friendli_endpoint.files import private_copy
from friendli_endpoint.generation import draining_error

__all__ = ["Trials"]

PROGRAM = "friendli_endpoint.engine.llama.trial"

TRIAL_SECONDS = 120.0
"""Timeout of the trial of a small file, in seconds; it takes less than one on an idle machine."""

BYTES_PER_SECOND = 20 << 20
"""Rate at which weights are read from a slow disk and computed with while all processors are busy;
the timeout is extended by the size of the model file divided by this rate."""

NICENESS = 10
"""Niceness of a trial while the engine computes. With 0, a stream drops from 100 tokens per second
to 25 until the trial ends after 1 second; with 10, to 70 for 5 seconds; with 19, a trial takes
minutes."""

_FAULT = re.compile(r"\.\w+:\d+: (?P<ggml>.+)|what\(\): +(?P<cpp>.+)")
"""Lines that llama.cpp writes to standard error when it aborts."""


class Trials:
    """Decides whether the engine may open a file; thread-safe.

    If it is pickled, the copy has the same arguments, and trials of its own.

    Args:
        library: As for `find_library`.
        gpu_layers: As for `LlamaModel`.
    """

    def __init__(self, library: Path | None = None, gpu_layers: int = 0) -> None:
        self._library = library
        self._gpu_layers = gpu_layers
        self._running: set[subprocess.Popen[str]] = set()
        self._bases: dict[Path, BaseModel] = {}
        self._lock = threading.Lock()
        self._closed = False

    def __reduce__(self) -> tuple[type["Trials"], tuple[Path | None, int]]:
        return Trials, (self._library, self._gpu_layers)

    def try_model(self, path: Path) -> None:
        """Checks the header of a model file, and computes a few tokens in a separate process.

        Raises:
            ModelError: The file cannot be served; the message says why in a sentence.
            RequestError: `close` has been called.
        """
        try:
            check_layout(read_header(path))
        except GgufError as error:
            raise ModelError(str(error)) from error
        except LayoutError as error:
            raise ModelError(f"{path} is damaged: {error}") from error
        self._try([path])

    def try_adapters(self, model: Path, paths: Sequence[Path]) -> None:
        """Checks the headers of adapters, and computes a few tokens with each.

        Args:
            model: The model file, or the first file of a model that is split into several.
            paths: LoRA adapters for that model.

        Raises:
            ModelError: An adapter cannot be served; the message says which one and why.
            RequestError: `close` has been called.
        """
        if paths:
            self._check_adapters(model, paths)
            self._try([model, *paths])

    @contextlib.contextmanager
    def tried_copy(self, model: Path, path: Path) -> Iterator[Path]:
        """Yields a copy of an adapter after a successful trial; the copy is deleted afterwards.

        The engine opens the copy, so it opens what was tried even if the file changes meanwhile.

        Args:
            model: The model file, or the first file of a model that is split into several.
            path: A LoRA adapter for that model.

        Raises:
            ModelError: The adapter cannot be served; the message names `path` and says why.
            RequestError: `close` has been called.
        """
        self._check_adapters(model, [path])  # avoids copying a file that is plainly invalid
        try:
            with private_copy(path) as copy:
                try:
                    self._check_adapters(model, [copy])
                    self._try([model, copy], NICENESS)
                    yield copy
                except ModelError as error:
                    raise ModelError(str(error).replace(str(copy), str(path))) from error
        except OSError as error:
            raise ModelError(f"cannot copy {path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Kills running trials; later ones raise RequestError."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()

    def _check_adapters(self, model: Path, paths: Sequence[Path]) -> None:
        try:
            if model not in self._bases:
                self._bases[model] = read_base_model(model)
            for path in paths:
                check_lora_file(path, self._bases[model])
        except GgufError as error:
            raise ModelError(str(error)) from error

    def _try(self, paths: Sequence[Path], niceness: int = 0) -> None:
        seconds = TRIAL_SECONDS + paths[0].stat().st_size / BYTES_PER_SECOND
        # When this process exits, the write end is closed, and the trial exits, too.
        read_end, write_end = os.pipe()
        try:
            process = self._start(read_end, paths)
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        if niceness:
            with contextlib.suppress(OSError):  # the process may have exited already
                os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
        try:
            output, errors = process.communicate(timeout=seconds)
            reason = _reason(process.returncode, errors)
            shortage = _shortage(process.returncode, errors)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            reason, shortage = f"it takes longer than {seconds:.0f} seconds", None
        finally:
            os.close(write_end)
            with self._lock:
                self._running.discard(process)
        if process.returncode:
            self._check_open()
            lines = output.splitlines()
            if shortage is not None:
                path = next((line for line in reversed(lines) if Path(line) in paths), paths[0])
                raise ModelError(f"there is not enough memory to try {path}: {shortage}")
            raise ModelError(_message(process.returncode, lines, reason))

    def _start(self, stdin: int, paths: Sequence[Path]) -> subprocess.Popen[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("FRIENDLI_")
        }
        library = str(find_library(self._library))
        flags = ["--library", library, "--gpu-layers", str(self._gpu_layers), "--"]
        with self._lock:
            self._check_open()
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROGRAM, *flags, *paths],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**environment, "GGML_NO_BACKTRACE": "1"},
                # Ctrl-C must only reach this process. A new session would do that as well, but
                # priorities are relative to the session.
                process_group=0,
            )
            self._running.add(process)
        return process

    def _check_open(self) -> None:
        if self._closed:
            raise draining_error()


def _message(code: int, lines: Sequence[str], reason: str) -> str:
    """Returns the trial's own message, or one that names the file that it tried last."""
    last = lines[-1] if lines else "the trial"
    return last if code == 1 and len(lines) > 1 else f"llama.cpp fails on {last}: {reason}"


def _shortage(code: int, errors: str) -> str | None:
    """Returns how a process failed for want of memory, or None if it did not."""
    if code == -signal.SIGKILL:  # not sent by this program: see `close` and the timeout
        return "the system killed the process"
    return allocation_failure(errors) if code else None


def _reason(code: int, errors: str) -> str:
    """Returns the last fault on standard error of a process, or else its exit code or signal."""
    faults = list(_FAULT.finditer(errors))
    if faults:
        return str(faults[-1]["ggml"] or faults[-1]["cpp"])
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
