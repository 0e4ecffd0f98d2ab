"""Measures the effect of `--repack` on next-token distributions, relative to 32-bit weights.

Each setting computes the log probabilities of a fixed text; the reference uses the same weights
dequantized to 32-bit floats. `python -m benchmarks.endpoint.repack MODEL.gguf` takes another file
than the embedded model.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, ReaderTensor, quants
from numpy.typing import NDArray

from benchmarks.endpoint.copies import write_copy
from friendli_endpoint.cache import cache_folder
from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.llama.context import LlamaContext
from friendli_endpoint.engine.llama.engine import locate
from friendli_endpoint.engine.llama.gguf.repack import repack
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from friendli_endpoint.engine.llama.processors import available_threads
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary

TEXT = """\
The harbour lies where the river has met the sea for as long as anyone has written about it. In
spring the pilots count the sandbanks, because the winter storms move them, and a chart that was
right in October may put a ship aground in April. A pilot learns the bottom with a weighted line
before she is trusted with an echo sounder: the line brings up what is there, mud or shell or
gravel, and the hand remembers it. By the third year most of them can say within a boat's length
where they are, at night and without a light, from nothing but the sound of the water against
the hull.

What does it cost? In 2019 the harbour paid 4.2 million for dredging and 310,000 for pilots; in
2023 it was 5.1 million and 365,000. The council asked whether one could be saved with the
other. The answer was a table of two columns, one for the depth that was dug and one for the
depth that was found a year later, and the second column was the shorter one in every row.

def depth_after(dug: float, storms: int) -> float:
    return max(0.0, dug - 0.35 * storms)

"If we dig where the river wants to go," said the oldest of them, "it does half of the work for
us. If we dig where we want to go, it does half of the work against us." Nobody wrote that down
at the time. It is told in the pilots' house to each new apprentice, usually on the first day of
fog.
"""


def main(arguments: list[str]) -> int:
    """Prints a table with a row for each setting."""
    source = locate(Path(arguments[0]) if arguments else None)
    copy = repack(source, cache_folder() / "repacked")
    with TemporaryDirectory() as folder:
        full = _log_probabilities(_in_full(source, Path(folder, "full.gguf")), False)
    print("| `--repack` | positions | mean KL, nats | max KL, nats | same likeliest token |")
    print("|---|---|---|---|---|")
    for setting, path in (("none", source), ("auto", source), ("q8_0", copy)):
        served = _log_probabilities(path, setting == "auto")
        divergence = (np.exp(full) * (full - served)).sum(axis=1)
        same = np.mean(full.argmax(axis=1) == served.argmax(axis=1))
        print(
            f"| {setting} | {len(divergence)} | {divergence.mean():.2g} | {divergence.max():.2g} "
            f"| {same:.1%} |",
            flush=True,
        )
    return 0


def _in_full(source: Path, target: Path) -> Path:
    """Writes a copy whose tensors are dequantized to 32-bit floats."""

    def numbers(tensor: ReaderTensor) -> tuple[NDArray[np.float32], GGMLQuantizationType]:
        values = quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        return values, GGMLQuantizationType.F32

    write_copy(GGUFReader(source), target, {}, numbers)
    return target


def _log_probabilities(path: Path, parts: bool) -> NDArray[np.float64]:
    """Computes the log probabilities of each next token of the text.

    Args:
        path: A GGUF file.
        parts: Whether the model repacks its tensors as `--repack auto` does.

    Returns:
        An array of shape (positions, vocabulary), float64.
    """
    library = load(find_library())
    model = LlamaModel(library, path, parts)
    vocabulary = LlamaVocabulary(model)
    tokens = vocabulary.tokenize(TEXT, False)
    context = LlamaContext(model, 1, 1024, available_threads())
    logits = [
        context.decode([SlotId(0)], [token], [position])[0].astype(np.float64)
        for position, token in enumerate(tokens)
    ]
    context.close()
    rows = np.array(logits)
    rows -= rows.max(axis=1, keepdims=True)
    totals: NDArray[np.float64] = np.exp(rows).sum(axis=1, keepdims=True)
    return rows - np.log(totals)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
