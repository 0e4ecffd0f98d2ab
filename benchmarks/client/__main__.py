"""Measures the cost of the client and of its peers, and prints tables. Takes some half an hour.

Every number is a median over rounds. In each round every client is measured once, in its own
process. A ratio is the cost of the peer divided by that of our client in the same round.
"""

from statistics import median

from benchmarks.client.canned import event
from benchmarks.client.environments import OURS, PEERS
from benchmarks.client.process import canned_server, measure
from benchmarks.client.tables import Results, Row, print_table

ROUNDS = 20
START_ROUNDS = 20
MICRO, MILLI, MEBI = 1e6, 1e3, 1 / 2**20

SYNC_ROWS = (
    Row("one POST", "post", MICRO),
    Row("an event, saturated", "saturated", MICRO, 1),
    Row("an event, one every 2 ms", "paced", MICRO, 1),
)
ASYNC_ROWS = (
    SYNC_ROWS[0],
    Row("one of 64 POSTs in parallel", "parallel", MICRO),
    *SYNC_ROWS[1:],
    Row("an event of 64 streams, one every 100 ms", "paced_parallel", MICRO, 1),
)
START_ROWS = (
    Row("first reply, wall ms", "wall", MILLI),
    Row("first reply, CPU ms", "cpu", MILLI),
    Row("resident after import, MiB", "imported", MEBI, 1),
    Row("resident after first reply, MiB", "replied", MEBI, 1),
)
STREAMS = ((1_000, 0), (10_000, 0), (100_000, 0), (200, 64 * 1024), (20, 1024 * 1024))


def main() -> None:
    """Runs all measurements."""
    for client in (OURS, *PEERS):
        client.prepare()
    print(
        f"Medians of {ROUNDS} interleaved rounds ({START_ROUNDS} for starts). In a peer's cell: "
        "value = ratio to ours × (min to max of the ratio)."  # noqa: RUF001
    )
    with canned_server() as url:
        print_table("sync, CPU µs", SYNC_ROWS, PEERS, rounds("sync", url, ROUNDS))
        print_table("async, CPU µs", ASYNC_ROWS, PEERS, rounds("async", url, ROUNDS))
        print_table("process", START_ROWS, PEERS, rounds("start", url, START_ROUNDS))
        flatness(url)


def rounds(mode: str, url: str, count: int) -> Results:
    """Measures every client in every round; for starts, a warm-up round is discarded."""
    results: Results = {client.name: [] for client in (OURS, *PEERS)}
    if mode == "start":
        for client in (OURS, *PEERS):
            measure(client, mode, url)
    for _ in range(count):
        for client in (OURS, *PEERS):
            results[client.name].append(measure(client, mode, url))
    return results


def flatness(url: str) -> None:
    """Measures our client only: the cost of an event in longer streams and in larger events."""
    costs: dict[tuple[int, int], list[float]] = {stream: [] for stream in STREAMS}
    for _ in range(ROUNDS):
        for events, size in STREAMS:
            cost = measure(OURS, "stream", url, f"{events}-0-{size}")["event"]
            costs[events, size].append(cost)
    print("\n| ours, sync: events of a stream | bytes of an event | CPU µs an event | ms a MiB |")
    print("|---|---|---|---|")
    for (events, size), measured in costs.items():
        cost = median(measured)
        rate = f"{cost * MILLI * 2**20 / size:.2f}" if size else ""
        length = size or len(event())
        print(f"| {events:,} | {length:,} | {cost * MICRO:,.1f} | {rate} |", flush=True)


if __name__ == "__main__":
    main()
