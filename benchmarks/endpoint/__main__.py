"""Measures throughput, time to first token and memory against the peer; prints tables."""

from statistics import median

from benchmarks.endpoint.load import Timing, measure
from benchmarks.endpoint.servers import Server, ours, peer

ROUNDS = 5
LOADS = ((1, 96), (8, 64), (16, 64))
CAPACITIES = ((16, 4096), (2, 1024))


def main() -> None:
    """Runs everything; a few minutes."""
    memory: list[str] = []
    for sequences, context in CAPACITIES:
        with ours(sequences, context) as server, peer(sequences, context) as other:
            if sequences >= LOADS[-1][0]:
                throughput((server, other))
            else:
                for each in (server, other):
                    measure(each.url, sequences, 32)
            ours_mib, peer_mib = (each.peak_memory() >> 20 for each in (server, other))
        memory.append(
            f"| {sequences} x {context} | {ours_mib:,} | {peer_mib:,} | {ours_mib / peer_mib:.2f} |"
        )
    print("\n| capacity | ours, peak MiB | llama.cpp server, peak MiB | ratio |")
    print("|---|---|---|---|")
    print("\n".join(memory), flush=True)


def throughput(servers: tuple[Server, Server]) -> None:
    """Interleaved rounds of each load on both servers."""
    for server in servers:
        measure(server.url, 1, 16)
    print("\n| requests x tokens | ours tok/s | peer tok/s | ratio | ours first token | peer's |")
    print("|---|---|---|---|---|---|")
    for requests, tokens in LOADS:
        rounds: tuple[list[Timing], list[Timing]] = ([], [])
        for _ in range(ROUNDS):
            for server, timings in zip(servers, rounds, strict=True):
                timings.append(measure(server.url, requests, tokens))
        mine, theirs = rounds
        ratios = [a.rate / b.rate for a, b in zip(mine, theirs, strict=True)]
        print(
            f"| {requests} x {tokens} "
            f"| {median(t.rate for t in mine):.0f} | {median(t.rate for t in theirs):.0f} "
            f"| {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {median(t.first for t in mine) * 1000:.0f} ms "
            f"| {median(t.first for t in theirs) * 1000:.0f} ms |",
            flush=True,
        )


if __name__ == "__main__":
    main()
