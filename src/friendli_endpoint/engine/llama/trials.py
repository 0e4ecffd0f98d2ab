"""Checks files, and has them tried by processes of their own, before the engine opens them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from friendli_endpoint.engine.llama.gguf.layout import LayoutError, check_layout
from friendli_endpoint.engine.llama.gguf.lora_file import (
    BaseModel,
    check_lora_file,
    read_base_model,
)
from friendli_endpoint.engine.llama.gguf.reading import GgufError, read_header
from friendli_endpoint.engine.llama.model import ModelError
from friendli_endpoint.files import private_copy
from friendli_endpoint.generation import RequestError

__all__ = ["Trials"]

PROGRAM = "friendli_endpoint.engine.llama.trial"

TRIAL_SECONDS = 120.0
"""Longest trial of a small file, which takes less than a second on a machine that is not busy."""

BYTES_PER_SECOND = 20 << 20
"""How fast weights are read from a slow disk, and computed with while all processors are busy; the
bound is later by the time that this takes."""

NICENESS = 10
"""Of a trial beside an engine that computes. With 0, a stream falls from 100 tokens a second to 25
until the trial has ended a second later; with 10, to 70 for 5 seconds; with 19 it takes minutes."""

_FAULT = re.compile(r"\.\w+:\d+: (?P<ggml>.+)|what\(\): +(?P<cpp>.+)")
"""The lines with which llama.cpp ends its process."""


class Trials:
    """Decides whether the engine may open a file; safe to use from several threads at once."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._bases: dict[Path, BaseModel] = {}
        self._gate = threading.Lock()
        self._closed = False

    def try_model(self, path: Path) -> None:
        """Checks the header of a model file, and has a few tokens computed.

        Raises:
            ModelError: It cannot be served; the message says why in a sentence.
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
        """Checks the headers of adapters, and has a few tokens computed with each.

        Args:
            model: The file of the model, or the first of its files.
            paths: LoRAs for that model.

        Raises:
            ModelError: One of them cannot be served; the message says which, and why.
            RequestError: `close` has been called.
        """
        if paths:
            self._check_adapters(model, paths)
            self._try([model, *paths])

    @contextlib.contextmanager
    def tried_copy(self, model: Path, path: Path) -> Iterator[Path]:
        """Gives a copy of an adapter that has been tried; it is gone afterwards.

        So what is opened is what was tried, whatever becomes of the file meanwhile.

        Args:
            model: The file of the model, or the first of its files.
            path: A LoRA for that model.

        Raises:
            ModelError: It cannot be served; the message says why, of `path`.
            RequestError: `close` has been called.
        """
        self._check_adapters(model, [path])  # what is plainly wrong is not copied
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
        """Ends trials that run; later ones are refused."""
        with self._gate:
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
        # The trial ends when this process does, because the pipe's other end is closed then.
        ours, theirs = os.pipe()
        try:
            process = self._start(ours, paths)
        except BaseException:
            os.close(theirs)
            raise
        finally:
            os.close(ours)
        if niceness:
            with contextlib.suppress(OSError):  # it may have ended already
                os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
        try:
            said, faults = process.communicate(timeout=seconds)
            reason = _reason(process.returncode, faults)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            reason = f"it takes longer than {seconds:.0f} seconds"
        finally:
            os.close(theirs)
            with self._gate:
                self._running.discard(process)
        if process.returncode:
            self._check_open()
            raise ModelError(_sentence(process.returncode, said.splitlines(), reason))

    def _start(self, stdin: int, paths: Sequence[Path]) -> subprocess.Popen[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("FRIENDLI_")
        }
        with self._gate:
            self._check_open()
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROGRAM, *paths],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**environment, "GGML_NO_BACKTRACE": "1"},
                process_group=0,  # Ctrl-C is for this process; in its session, priorities count
            )
            self._running.add(process)
        return process

    def _check_open(self) -> None:
        if self._closed:
            raise RequestError(
                "the endpoint is shutting down", status=503, code="draining", retry_after=1
            )


def _sentence(code: int, said: Sequence[str], reason: str) -> str:
    """The fault, in the words of the trial, or with the file that it tried last."""
    last = said[-1] if said else "the trial"
    return last if code == 1 and len(said) > 1 else f"llama.cpp ends on {last}: {reason}"


def _reason(code: int, faults: str) -> str:
    """Why a process has ended, by the last fault on its standard error, or else by its code."""
    found = list(_FAULT.finditer(faults))
    if found:
        return str(found[-1]["ggml"] or found[-1]["cpp"])
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
