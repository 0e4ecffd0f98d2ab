"""Tries files as the engine will use them, in a process that may end by it.

    python -m friendli_endpoint.engine.llama.trial MODEL [ADAPTER...]

llama.cpp ends its process on many a damaged file, some only when they are first computed with. So
the model is opened here, memory-mapped and without repacking, and a few tokens of two sequences are
computed: with the model as it is, or with each adapter. The path of each file is printed before it
is tried. The exit code is 0 if all can be used; it is 1 if one cannot, and the last line says why.
Where standard input is a pipe, the process ends when the other end of it does.
"""

import contextlib
import logging
import os
import stat
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.llama.cache import Cache, DecodeError
from friendli_endpoint.engine.llama.kernels import LEAST_WITH_LORA
from friendli_endpoint.engine.llama.library import LibraryError, find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel, ModelError
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary

__all__ = ["main"]

TEXT = "The sea is wide, and nobody knows all of it."
NUM_TOKENS = 9
"""Of the longest prompt: from 8 tokens on, llama.cpp multiplies in tiles."""

ROOM, BATCH = 256, 64
SLOTS = SlotId(0), SlotId(1)
"""Tokens that each sequence could hold, and that a batch could have; llama.cpp asks for as many."""


def main(paths: Iterable[str]) -> int:
    """Tries a model, or adapters for it; gives the exit code."""
    _end_with_parent()
    _spare_the_machine()
    model, *adapters = map(Path, paths)
    try:
        _try(model, adapters)
    except (LibraryError, ModelError, DecodeError) as error:
        print(error, flush=True)
        return 1
    return 0


def _try(path: Path, adapters: Iterable[Path]) -> None:
    print(path, flush=True)
    library = load(find_library())
    logging.getLogger("friendli_endpoint.llama").setLevel(logging.CRITICAL)
    model = LlamaModel(library, path, parts=False, repack=False)
    if model.train_context < 1:
        raise ModelError(f"{path} is for a context of {model.train_context} tokens")
    tokens = LlamaVocabulary(model).tokenize(TEXT, special=True) or [0]
    tokens = (tokens * NUM_TOKENS)[:NUM_TOKENS]
    if not adapters:
        _compute(model, path, tokens, ())
    for adapter in adapters:
        print(adapter, flush=True)
        _compute(model, adapter, tokens, (model.load_adapter(adapter),))


def _compute(model: LlamaModel, path: Path, tokens: list[int], adapters: tuple[int, ...]) -> None:
    """Computes two prompts, and then a token of both sequences, with and without flash attention.

    The long prompt is computed once, without: that matrices are multiplied is the same in both.

    Raises:
        ModelError: There is no memory, or the logits are not finite.
    """
    for flash in [False] if model.has_windows else [False, True]:
        cache = Cache(model, len(SLOTS), ROOM, 1, flash, BATCH)
        cache.use(adapters)
        prompts = tokens[:2] if flash else tokens, tokens[:2]
        rows = []
        for slot, prompt in zip(SLOTS, prompts, strict=True):
            cache.append(slot, prompt, 0, np.arange(1, len(prompt) + 1) == len(prompt))
            rows.append(cache.logits(1)[0].copy())
        rows += cache.decode(SLOTS, tokens[:2], [*map(len, prompts)], LEAST_WITH_LORA)
        if not np.isfinite(rows).all():
            raise ModelError(f"{path} gives numbers that are not finite")
        cache.close()


def _end_with_parent() -> None:
    """Ends this process when the one that started it lets go of the pipe, however it ended."""

    def wait() -> None:
        os.read(0, 1)
        os._exit(1)

    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=wait, daemon=True).start()


def _spare_the_machine() -> None:
    """Writes no core, and is the first to go where memory is short."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # nothing is freed: the system does that faster
