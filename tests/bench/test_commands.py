"""CPU time of commands."""

from pathlib import Path

import pytest

from benchmarks.endpoint.commands import LINES, PASS, cpu_seconds, table
from friendli_endpoint.bench.plots import plot_multiples
from friendli_endpoint.bench.stats import Spread


def test_ratios_are_of_the_same_round() -> None:
    rows = table({PASS: [0.01, 0.02, 0.04], "b": [0.1, 0.1, 0.1]}).rows
    assert [list(row) for row in rows] == [
        [f"`{PASS}`", "20", "1.0 (1.0 to 1.0)"],
        ["`b`", "100", "5.0 (2.5 to 10.0)"],
    ]


def test_a_command_that_fails_is_not_measured() -> None:
    assert cpu_seconds(LINES[PASS]) > 0
    with pytest.raises(RuntimeError, match="status 3"):
        cpu_seconds(["-c", "raise SystemExit(3)"])


def test_multiples_are_plotted_in_the_order_of_their_names(tmp_path: Path) -> None:
    plot_multiples({"a": Spread(1, 1, 1), "b": Spread(5, 4, 6)}, "times", tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
