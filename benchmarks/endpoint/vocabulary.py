"""Measures step time by vocabulary size: `python -m benchmarks.endpoint.vocabulary [ROUNDS]`.

The models are copies of the embedded one with additional tokens of low probability, so that they
differ only in the number of logits to compute and to sample from.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, ReaderTensor, TokenType
from numpy.typing import NDArray

from benchmarks.endpoint.copies import write_copy
from friendli_endpoint.bench.plots import plot_growth
from friendli_endpoint.bench.report import markdown, tables
from friendli_endpoint.bench.servers import ServerCapacity
from friendli_endpoint.bench.session import BenchPlan, run
from friendli_endpoint.cli.bench import END_TOKENS
from friendli_endpoint.engine.llama.engine import locate
from friendli_endpoint.engine.llama.processors import available_threads

SIZES = (65_536, 131_072, 262_144)
PLOT = Path("docs/images/vocabulary.png")

TOKENS, KINDS, COUNT = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "llama.vocab_size"
EMBEDDINGS = "token_embd.weight"


def main(arguments: list[str]) -> int:
    """Prints a table and writes a plot; returns 1 if a measurement failed."""
    source = locate(None)
    own = len(GGUFReader(source).fields[TOKENS].contents())
    with TemporaryDirectory() as folder:
        files = [(size, Path(folder) / f"{size}.gguf") for size in SIZES]
        for size, path in files:
            widen(source, path, size)
        plan = BenchPlan(
            addresses=[],
            ours=True,
            peers=["llama.cpp"],
            model=source,
            peer_model=source,
            serve_flags=[],
            vocabularies=[(own, source), *files],
            workloads=[],
            rounds=int(arguments[0]) if arguments else 3,
            capacity=ServerCapacity(16, 4096, available_threads()),
            end_tokens=END_TOKENS,
        )
        report = run(plan, lambda line: print(line, file=sys.stderr))
    plot_growth(report, PLOT)
    print("\n\n".join(markdown(table) for table in tables(report)))
    return int(any(measurement.faults for measurement in report.measured))


def widen(source: Path, target: Path, size: int) -> None:
    """Writes a copy of a model with `size` tokens; the embeddings of added tokens are zero."""
    reader = GGUFReader(source)
    tokens, kinds = (reader.fields[key].contents() for key in (TOKENS, KINDS))
    more = size - len(tokens)
    changed = {
        TOKENS: [*tokens, *(f"<unused {number}>" for number in range(more))],
        KINDS: [*kinds, *[int(TokenType.UNUSED)] * more],
        COUNT: size,
    }

    def rows(tensor: ReaderTensor) -> tuple[NDArray[Any], GGMLQuantizationType]:
        data: NDArray[Any] = tensor.data
        if tensor.name == EMBEDDINGS:
            data = np.concatenate((data, np.zeros((more, *data.shape[1:]), data.dtype)))
        return data, tensor.tensor_type

    write_copy(reader, target, changed, rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
