"""Tokenises long runs of one character: `python -m tests.engine.long_runs FILE...`.

A process of its own, because it dies where the tokenizer's recursion exceeds the stack.
"""

import sys
from types import SimpleNamespace
from typing import Any

from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary

LENGTH = 30_000
"""Takes 10 MiB of stack, where threads have 8."""

CHARACTERS = "a", "A", " ", "1", "中", "!", "\n"


def main(paths: list[str]) -> None:
    """Checks that the runs come back from their tokens, for each vocabulary."""
    library = load(find_library())
    params = library.llama_model_default_params()
    params.vocab_only = True
    for path in paths:
        pointer = library.llama_model_load_from_file(path.encode(), params)
        assert pointer, path
        model: Any = SimpleNamespace(library=library, pointer=pointer)
        vocabulary = LlamaVocabulary(model, context=4096)
        for character in CHARACTERS:
            text = (character * LENGTH)[:LENGTH]
            tokens = vocabulary.tokenize(text, False)
            assert b"".join(map(vocabulary.piece, tokens)).decode() == text, (path, character)
        library.llama_model_free(pointer)
        print(path, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
