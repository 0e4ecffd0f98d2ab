"""Tokenizes long runs of one character: `python -m tests.engine.llama.long_runs FILE...`.

A separate process, because it crashes if the tokenizer's recursion exceeds the stack.
"""

import sys
from pathlib import Path

from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import VocabularyFile
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary

LENGTH = 30_000
"""A run of this length needs 10 MiB of stack; threads have 8 MiB."""

CHARACTERS = "a", "A", " ", "1", "中", "!", "\n"


def main(paths: list[str]) -> None:
    """Checks for each vocabulary that the token bytes of a run are the run."""
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
