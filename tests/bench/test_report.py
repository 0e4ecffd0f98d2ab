"""Tables and plots of a run with chosen values."""

from pathlib import Path

import pytest
from matplotlib import image

from friendli_endpoint.bench.plots import growth_path, plot_growth, plot_ratios
from friendli_endpoint.bench.report import markdown, tables
from friendli_endpoint.bench.rounds import Measured, Sample
from friendli_endpoint.bench.session import Report
from friendli_endpoint.bench.workload import Outcome
from friendli_endpoint.bench.workloads import WORKLOADS


def samples(*values: float, failed: int = 0) -> list[Sample]:
    """Rounds of these values; first tokens take a tenth of a second, gaps 1 to 100 ms."""
    gaps = [number / 1000 for number in range(1, 101)]
    return [Sample(Outcome(value, [0.1], gaps, failed), 1.0, 0.04) for value in values]


def report(*measured: Measured, **memory: int) -> Report:
    return Report("2026-01-01", "Some CPU, 2 cores", {}, 3, measured, memory)


def test_ratios_are_of_rounds_and_ours_to_theirs() -> None:
    single = Measured(WORKLOADS["single"], {"a": samples(50, 60, 90), "b": samples(100, 60, 30)})
    long = Measured(WORKLOADS["long"], {"a": samples(0.25), "b": samples(0.5)})
    values, *_ = tables(report(single, long))
    assert values.columns[3] == "a"
    assert [row[0] for row in values.rows] == ["single", "long"]
    assert [list(row[2:]) for row in values.rows] == [
        ["tokens/s ↑", "60.0", "b", "60.0", "1.00 (0.50 to 3.00)"],
        ["s ↓", "0.25", "b", "0.5", "0.50 (0.50 to 0.50)"],
    ]


def test_latencies_are_percentiles_over_all_rounds() -> None:
    single = Measured(WORKLOADS["single"], {"a": samples(50, 60)})
    _, latencies = tables(report(single))
    (row,) = latencies.rows
    assert list(row) == ["single", "a", "100 ms", "100 ms", *ranks("50", "95", "99", "100"), "4%"]


def ranks(*milliseconds: str) -> list[str]:
    return [f"{each} ms" for each in milliseconds]


def test_memory_faults_and_answers_that_do_not_count_are_told() -> None:
    schema = Measured(
        WORKLOADS["schema8"], {"a": samples(2, 3, failed=1), "b": []}, {"b": "it answers 500"}
    )
    values, _, memory, faults = tables(report(schema, a=300 << 20))
    assert list(values.rows[0])[3:] == ["2.5", "b", "failed", ""]
    assert [list(row) for row in memory.rows] == [["a", "300 MiB"]]
    assert [list(row) for row in faults.rows] == [
        ["schema8", "b", "it answers 500"],
        ["schema8", "a", "2 answers were not valid"],
    ]


def test_every_line_of_a_table_in_markdown_is_as_wide() -> None:
    single = Measured(WORKLOADS["single"], {"a": samples(1), "b": samples(2), "c": samples(3)})
    curve = Measured(WORKLOADS["depth-256"], {"a": samples(1), "b": samples(2)})
    for table in tables(report(single, curve, a=1 << 20)):
        widths = {line.count("|") for line in markdown(table).splitlines()}
        assert widths == {len(table.columns) + 1}


@pytest.mark.parametrize("axis", ["running", "depth"])
def test_what_was_measured_is_drawn(tmp_path: Path, axis: str) -> None:
    curve = [
        Measured(each, {"a": samples(1.0), "b": [] if number else samples(2.0)})
        for number, each in enumerate(WORKLOADS.values())
        if each.sweep is not None and each.sweep.axis == axis
    ]
    single = Measured(WORKLOADS["single"], {"a": samples(1), "b": samples(2)})
    path = tmp_path / "plot.png"
    whole = report(single, *curve)
    assert plot_ratios(whole, path) and plot_growth(whole, growth_path(path))
    for each in (path, tmp_path / "plot-growth.png"):
        drawn = image.imread(each)
        assert drawn.shape[0] > 100 and drawn.min() < drawn.max()


def test_where_there_is_nothing_to_draw_there_is_no_file(tmp_path: Path) -> None:
    alone = report(Measured(WORKLOADS["single"], {"a": samples(1)}))
    path = tmp_path / "plot.png"
    assert not plot_ratios(alone, path)
    assert not plot_growth(alone, path)
    assert not path.exists()
