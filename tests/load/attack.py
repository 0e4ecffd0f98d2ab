"""Sends generated cases with fixed seeds to a real endpoint, which must survive them."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import httpx2

from tests.contract.live import COMPLETIONS, HELLO
from tests.contract.served import Served, served

__all__ = ["TIMEOUT_SECONDS", "Attempt", "attack"]

TIMEOUT_SECONDS = 30.0
"""Seconds after which a request counts as hung."""

FLAGS = (
    *("--threads", "1", "--context", "256", "--max-choices", "4"),
    *("--receive-seconds", "2", "--keep-alive-seconds", "5"),
)
GOOD_EVERY = 20
"""Number of cases between two good completions; `/health` is requested after each case."""

Attempt = Callable[[Served, random.Random], Iterable[int]]
"""Sends one case, and returns the status codes of the answers; raises TimeoutError if it hangs."""


def attack(name: str, cases: int, attempt: Attempt, *flags: str, first: int = 0) -> dict[str, Any]:
    """Sends cases one after the other.

    Args:
        name: Name of the generator. Together with its number it is the seed of a case.
        cases: Number of cases.
        attempt: Sends one case.
        flags: Further flags of `serve`.
        first: Number of the first case, to repeat a failed one.
    """
    statuses: Counter[int] = Counter()
    failed: list[str] = []
    slowest = 0.0
    with (
        served(*FLAGS, *flags) as endpoint,
        httpx2.Client(
            base_url=endpoint.address, timeout=TIMEOUT_SECONDS, trust_env=False
        ) as client,
    ):
        _is_healthy(client, True)
        before = endpoint.resident()
        for number in range(first, first + cases):
            begun = time.monotonic()
            try:
                found = Counter(attempt(endpoint, random.Random(f"{name} {number}")))
            except TimeoutError:
                failed.append(f"{number} hangs")
            else:
                statuses += found
                failed += [f"{number}: {s}" for s in found if s >= 500 and s != 503]
            slowest = max(slowest, time.monotonic() - begun)
            is_last = number == first + cases - 1
            if not _is_healthy(client, is_last or number % GOOD_EVERY == 0):
                failed.append(f"{number} ends it: {endpoint.process.poll()}")
                break
        grown = endpoint.resident() - before
    return {
        "cases": cases,
        "responses": statuses.total(),
        "2xx": sum(count for status, count in statuses.items() if 200 <= status < 300),
        "4xx": sum(count for status, count in statuses.items() if 400 <= status < 500),
        "503": statuses[503],
        "failed": failed or "none",
        "slowest, seconds": round(slowest, 2),
        "memory growth, MiB": round(grown / (1 << 20), 1),
    }


def _is_healthy(client: httpx2.Client, completes: bool) -> bool:
    """Whether `/health` answers 200 or, if `completes` is set, whether a good completion does."""
    try:
        if not completes:
            return client.get("/health").status_code == 200
        good = {"model": "m", "messages": HELLO, "max_tokens": 2}
        return client.post(COMPLETIONS, json=good).status_code == 200
    except httpx2.HTTPError:
        return False
