"""Program that tries a model and its adapters, in a process that a damaged file may crash.

    python -m friendli_endpoint.engine.llama.trial
        [--library PATH] [--gpu-layers N] MODEL [ADAPTER...]

llama.cpp aborts its process on many damaged files, for some only at the first computation. So this
program opens the model, memory-mapped and without repacking, and computes a few tokens of two
sequences: with the model alone, or with each adapter. It prints the path of each file before it
tries it. The exit code is 0 if all files can be used, and 1 if one cannot; then the last line says
why. Allocations that fail are reported on standard error at once, as llama.cpp may abort. If
standard input is a pipe, the process exits when the other end is closed.
"""

import argparse
import contextlib
import logging
import os
import stat
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.llama.allocations import allocation_failure
from friendli_endpoint.engine.llama.cache import DecodeError, KVCache
from friendli_endpoint.engine.llama.kernels import MIN_SEQUENCES_WITH_LORA
from friendli_endpoint.engine.llama.library import LibraryError, find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel, ModelError
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary

__all__ = ["main"]

TEXT = "The sea is wide, and nobody knows all of it."
NUM_TOKENS = 9
"""Length of the longer prompt; llama.cpp uses tiled kernels from 8 tokens on."""

CONTEXT, MAX_BATCH = 256, 64
"""Capacity of each sequence and maximum batch, in tokens; llama.cpp requires at least these."""

SLOTS = SlotId(0), SlotId(1)


def main(arguments: Sequence[str]) -> int:
    """Tries a model, or adapters for it, and returns the exit code.

    Args:
        arguments: The command line of this program.
    """
    _exit_with_parent()
    _set_process_limits()
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", type=Path)
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("model", type=Path)
    parser.add_argument("adapters", type=Path, nargs="*")
    given = parser.parse_args(arguments)
    try:
        _try(given.library, given.gpu_layers, given.model, given.adapters)
    except MemoryError:
        print("MemoryError", file=sys.stderr, flush=True)
        return 1
    except (LibraryError, ModelError, DecodeError) as error:
        print(error, flush=True)
        return 1
    return 0


def _try(library_path: Path | None, gpu_layers: int, path: Path, adapters: Iterable[Path]) -> None:
    print(path, flush=True)
    library = load(find_library(library_path), gpu=gpu_layers > 0)
    _report_failed_allocations()
    model = LlamaModel(library, path, split_q4_1=False, repack=False, gpu_layers=gpu_layers)
    if model.train_context < 1:
        raise ModelError(f"{path} has an invalid context length of {model.train_context} tokens")
    tokens = LlamaVocabulary(model).tokenize(TEXT, special=True) or [0]
    tokens = (tokens * NUM_TOKENS)[:NUM_TOKENS]
    if not adapters:
        _compute(model, path, tokens, ())
    for adapter in adapters:
        print(adapter, flush=True)
        _compute(model, adapter, tokens, (model.load_adapter(adapter),))


def _compute(model: LlamaModel, path: Path, tokens: list[int], adapters: tuple[int, ...]) -> None:
    """Prefills two prompts and decodes a token of both, with each kind of attention that is used.

    The longer prompt is prefilled only without, because both multiply the same matrices.

    Raises:
        ModelError: There is not enough memory, or the logits are not finite.
    """
    for flash in [None] if not model.on_cpu else [False] if model.has_windows else [False, True]:
        cache = KVCache(model, len(SLOTS), CONTEXT, 1, flash, MAX_BATCH)
        cache.set_adapters(adapters)
        prompts = tokens[:2] if flash else tokens, tokens[:2]
        rows = []
        for slot, prompt in zip(SLOTS, prompts, strict=True):
            cache.append(slot, prompt, 0, np.arange(1, len(prompt) + 1) == len(prompt))
            rows.append(cache.logits(1)[0].copy())
        rows += cache.decode(SLOTS, tokens[:2], [*map(len, prompts)], MIN_SEQUENCES_WITH_LORA)
        if not np.isfinite(rows).all():
            raise ModelError(f"{path} produces logits that are not finite")
        cache.close()


def _report_failed_allocations() -> None:
    """Writes failed allocations to standard error, and nothing else of llama.cpp's log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: allocation_failure(record.getMessage()) is not None)
    log = logging.getLogger("friendli_endpoint.llama")
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.ERROR)


def _exit_with_parent() -> None:
    """Exits this process when its parent closes the pipe, even if the parent was killed."""

    def wait() -> None:
        os.read(0, 1)
        os._exit(1)

    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=wait, daemon=True).start()


def _set_process_limits() -> None:
    """Disables core dumps, and makes this process the first that the OOM killer chooses."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # skips freeing the model, which the operating system does faster
