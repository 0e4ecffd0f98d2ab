"""A request costs at most a multiple of its size, whichever of its fields is large.

For every field, the largest legal value is sent: a quarter or an eighth of it if it is refused, and
so on. Each attempt is measured in the process that all requests share: while the request waits, its
resident memory may be larger by 4 MiB and 50 times the body; while the request is prepared, by
twice that; and the event loop's thread may take 0.03 s and 0.03 s for each MB.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.faults.amplification import Cost, measuring
from tests.faults.free_fields import FREE_CASES
from tests.faults.large_bodies import CASES, Case, fields
from tests.http.scripted import VALID

pytestmark = pytest.mark.load

PEAK_FACTOR = 2
"""The compiler's temporary memory is about as large as what it makes; see `memory_for`."""

SCALES = [4.0**-power for power in range(7)]
TEXT_SCALES = [8.0**-power for power in range(4)]
"""Scales of fields whose largest legal value is as long as the context: half of the attempts."""


@pytest.fixture(scope="module")
def measured() -> Iterator[Callable[[bytes], Cost]]:
    with measuring() as cost:
        yield cost


def max_memory(body: int) -> int:
    """Returns the bytes by which a request of a size may let the resident memory grow."""
    return (4 << 20) + 50 * body


def max_loop_seconds(body: int) -> float:
    """Returns the CPU time that a request of a size may take on the event loop's thread."""
    return 0.03 + 3e-8 * body


def test_every_field_has_a_case() -> None:
    assert set(CASES) == set(fields())
    assert all(CASES.values())


def cases() -> Iterator[object]:
    for name, field_cases in (CASES | FREE_CASES).items():
        for number, case in enumerate(field_cases):
            scales = TEXT_SCALES if name.startswith("messages") else SCALES
            yield pytest.param(case, scales, id=f"{name}-{number}")


@pytest.mark.parametrize(("case", "scales"), list(cases()))
def test_the_largest_value_of_a_field_costs_a_multiple_of_its_size(
    case: Case, scales: list[float], measured: Callable[[bytes], Cost]
) -> None:
    for scale in scales if case.is_legal else scales[:1]:
        body = json.dumps({**VALID, **case.make(scale)}, ensure_ascii=False).encode()
        cost = measured(body)
        assert cost.status < 500
        assert cost.held <= max_memory(cost.body), cost
        assert cost.peak <= PEAK_FACTOR * max_memory(cost.body), cost
        assert cost.loop_seconds <= max_loop_seconds(cost.body), cost
        if cost.status == 0:
            break
    assert (cost.status == 0) == case.is_legal, cost
