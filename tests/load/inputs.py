"""Spoilt requests by the thousand, sent to a real endpoint."""

import json
import time
from collections import Counter
from typing import Any

import httpx2
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from tests.contract.conftest import PATH
from tests.contract.served import served
from tests.fuzz.endpoint import fuzzing
from tests.fuzz.requests import spoilt

__all__ = ["inputs"]

PATIENCE = 30.0
"""An answer that takes longer hangs."""


def inputs(cases: int) -> dict[str, Any]:
    """Sends what is spoilt, garbled or long, one after the other.

    Args:
        cases: How many of each kind.
    """
    statuses: Counter[int] = Counter()
    slowest = 0.0
    with (
        served("--context", "1024", "--max-body", "1048576") as endpoint,
        httpx2.Client(base_url=endpoint.address, timeout=PATIENCE, trust_env=False) as client,
    ):

        def send(body: bytes) -> None:
            nonlocal slowest
            begun = time.monotonic()
            statuses[client.post(PATH, content=body).status_code] += 1
            slowest = max(slowest, time.monotonic() - begun)

        for kind in (spoilt(), st.binary(max_size=2000)):
            trying = settings(fuzzing(cases), phases=[Phase.generate])
            seed(cases)(trying(given(kind)(send)))()
        good = {"model": "m", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
        after = client.post(PATH, content=json.dumps(good).encode()).status_code
    return {
        "requests": statuses.total(),
        "4xx": sum(number for status, number in statuses.items() if 400 <= status < 500),
        "2xx": sum(number for status, number in statuses.items() if status < 300),
        "5xx": sum(number for status, number in statuses.items() if status >= 500),
        "slowest, seconds": round(slowest, 2),
        "status of a valid request afterwards": after,
    }
