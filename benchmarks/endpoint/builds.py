"""Compares builds of llama.cpp: `python -m benchmarks.endpoint.builds PATH...`.

Every build runs in a process of its own, and they take turns. The table has the tokens per second
of processor time with one thread, so other work on the machine matters little, and the ratio to the
first build in the same round. The last column says whether the logits have the same bits.
"""

import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.llama.context import LlamaContext
from friendli_endpoint.engine.llama.engine import locate
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel

ROUNDS = 24
"""Number of rounds, without a first one for warming up."""

CONTEXT = 1024
SHORT, LONG = 40, 600
"""Numbers of tokens before those that are decoded."""

LONE, PROMPT = SlotId(16), SlotId(17)
BATCH = [SlotId(number) for number in range(16)]
NAMES = ("prefill", "single", "long", "batch16")


class Workloads:
    """Workloads of one build; each returns its number of tokens and its last logits."""

    def __init__(self, library: Path) -> None:
        model = LlamaModel(load(find_library(library)), locate(None))
        self._context = LlamaContext(model, PROMPT + 1, CONTEXT, 1)
        self._tokens = np.random.default_rng(5).integers(1000, 40_000, CONTEXT).astype(np.int32)
        for slot in (*BATCH, LONE):
            length = LONG if slot == LONE else SHORT
            self._context.prefill(slot, self._tokens[:length], 0, False)

    def prefill(self) -> tuple[int, bytes]:
        """Prefills a prompt of 128 tokens."""
        self._context.truncate(PROMPT, 0)
        logits = self._context.prefill(PROMPT, self._tokens[:128], 0, True)
        assert logits is not None
        return 128, logits.tobytes()

    def single(self) -> tuple[int, bytes]:
        """Decodes one short sequence."""
        return self._decode(BATCH[:1], SHORT, 12)

    def long(self) -> tuple[int, bytes]:
        """Decodes one long sequence."""
        return self._decode([LONE], LONG, 8)

    def batch16(self) -> tuple[int, bytes]:
        """Decodes 16 short sequences at once."""
        return self._decode(BATCH, SHORT, 3)

    def _decode(self, slots: Sequence[SlotId], start: int, steps: int) -> tuple[int, bytes]:
        for slot in slots:
            self._context.truncate(slot, start)
        for position in range(start, start + steps):
            token = int(self._tokens[position])
            rows = self._context.decode(slots, [token] * len(slots), [position] * len(slots))
        return steps * len(slots), rows[-1].tobytes()


def measure(library: Path) -> None:
    """Runs the workloads that standard input names; prints their speed and a hash of the logits."""
    workloads = Workloads(library)
    for line in sys.stdin:
        name = line.strip()
        run: Callable[[], tuple[int, bytes]] = getattr(workloads, name)
        begun = time.process_time()
        count, logits = run()
        speed = count / (time.process_time() - begun)
        print(json.dumps([speed, hashlib.sha256(logits).hexdigest()]), flush=True)


def main(paths: Sequence[str]) -> int:
    """Prints the table."""
    processes = {
        path: subprocess.Popen(
            [sys.executable, "-m", "benchmarks.endpoint.builds", "--measure", path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for path in paths
    }
    measured: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for number in range(ROUNDS + 1):
        for name in NAMES:
            for path in random.sample(list(paths), len(paths)):
                process = processes[path]
                assert process.stdin is not None and process.stdout is not None
                print(name, file=process.stdin, flush=True)
                found = json.loads(process.stdout.readline())
                if number:
                    measured.setdefault((name, path), []).append(found)
    for process in processes.values():
        process.communicate()
    print("| workload | build | tokens per CPU second | ratio (95 % of its median) | same bits |")
    print("|---|---|---|---|---|")
    for (name, path), results in sorted(measured.items(), key=lambda item: NAMES.index(item[0][0])):
        first = measured[name, paths[0]]
        speeds = [speed for speed, _bits in results]
        ratios = [speed / base for speed, (base, _bits) in zip(speeds, first, strict=True)]
        same = {bits for _speed, bits in results} == {bits for _speed, bits in first}
        low, high = interval(ratios)
        print(
            f"| {name} | {path} | {median(speeds):.1f} "
            f"| {median(ratios):.2f} ({low:.2f} to {high:.2f}) | {'yes' if same else 'no'} |"
        )
    return 0


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns the 95 % bootstrap interval of the median."""
    medians = sorted(median(random.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[-51]


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        measure(Path(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1:]))
