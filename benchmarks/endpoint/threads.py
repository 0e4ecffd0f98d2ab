"""Measures batches with different numbers of threads: `python -m benchmarks.endpoint.threads`.

The engine chooses the number for every batch. The table shows what each number takes, and which one
is chosen on an idle machine; on a busy machine it means nothing.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from benchmarks.endpoint.costs import SetThreads, opened
from friendli_endpoint.engine.llama.processors import available_threads
from friendli_endpoint.engine.llama.threads import ThreadPolicy

BATCHES = {100: ((1, 2, 4, 8, 16), (16, 32, 64)), 1000: ((1, 8), ()), 3800: ((1, 8), (32,))}
"""Numbers of running sequences, and chunk sizes, by depth."""


def main(arguments: Sequence[str]) -> int:
    """Prints the table; the argument is the number of rounds, by default 20."""
    rounds = int(arguments[0]) if arguments else 20
    available = available_threads()
    numbers = sorted({1, 2, max(1, available // 2), available})
    threads = SetThreads(max(numbers))
    columns = " | ".join(f"threads: {number}" for number in numbers)
    print(f"| batch | ms with {columns} | chosen |\n|---|{'---|' * len(numbers)}---|")
    with opened(threads) as timed:
        for depth, (running, chunks) in BATCHES.items():
            timed.fill(depth)
            batches = [(f"{size} sequences", partial(timed.decode, size)) for size in running]
            batches += [(f"chunk of {size}", partial(timed.prefill, size)) for size in chunks]
            for label, compute in batches:
                times = measure(partial(compute, depth), threads, numbers, rounds)
                chosen = ThreadPolicy(available).threads(threads.work)
                cells = " | ".join(f"{value:.1f}" for value in times)
                print(f"| {label} at {depth:,} tokens | {cells} | {chosen} |", flush=True)
    return 0


def measure(
    compute: Callable[[], None], threads: SetThreads, numbers: Sequence[int], rounds: int
) -> list[float]:
    """Returns the median ms of a batch for each number of threads, in interleaved rounds."""
    times: dict[int, list[float]] = {number: [] for number in numbers}
    for _ in range(rounds + 1):
        for number in numbers:
            threads.number = number
            begun = time.perf_counter()
            compute()
            times[number].append(time.perf_counter() - begun)
    return [1000 * median(times[number][1:]) for number in numbers]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
