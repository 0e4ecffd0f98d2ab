"""Tokenises long runs of one character: `python -m tests.engine.llama.long_runs FILE...`.

A process of its own, because it dies where the tokenizer's recursion exceeds the stack.
"""

import sys
from pathlib import Path

from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import VocabularyFile
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary

LENGTH = 30_000
"""Takes 10 MiB of stack, where threads have 8."""

CHARACTERS = "a", "A", " ", "1", "中", "!", "\n"


def main(paths: list[str]) -> None:
    """Checks that the runs come back from their tokens, for each vocabulary."""
    library = load(find_library())
    for path in paths:
        vocabulary = LlamaVocabulary(VocabularyFile(library, Path(path)))
        for character in CHARACTERS:
            text = (character * LENGTH)[:LENGTH]
            tokens = vocabulary.tokenize(text, False)
            assert b"".join(map(vocabulary.token_bytes, tokens)).decode() == text, (path, character)
        print(path, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
