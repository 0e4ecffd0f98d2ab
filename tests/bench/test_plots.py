"""Plots of a run with chosen values."""

from pathlib import Path

import pytest
from matplotlib import image

from friendli_endpoint.bench import plots
from friendli_endpoint.bench.plots import check_plotting, growth_path, plot_growth, plot_ratios
from friendli_endpoint.bench.rounds import Measured
from friendli_endpoint.bench.wire import BenchError
from friendli_endpoint.bench.workloads import WORKLOADS, vocabulary
from tests.bench.measured import report, samples


@pytest.mark.parametrize("axis", ["running", "depth"])
def test_what_was_measured_is_drawn(tmp_path: Path, axis: str) -> None:
    curve = [
        Measured(workload, {"a": samples(1.0), "b": [] if number else samples(2.0)})
        for number, workload in enumerate(WORKLOADS.values())
        if workload.sweep is not None and workload.sweep.axis == axis
    ]
    single = Measured(WORKLOADS["single"], {"a": samples(1), "b": samples(2)})
    path = tmp_path / "plot.png"
    whole = report(single, *curve)
    assert plot_ratios(whole, path) and plot_growth(whole, growth_path(path))
    for file in (path, tmp_path / "plot-growth.png"):
        drawn = image.imread(file)
        assert drawn.shape[0] > 100 and drawn.min() < drawn.max()


def test_where_there_is_nothing_to_draw_there_is_no_file(tmp_path: Path) -> None:
    alone = report(Measured(WORKLOADS["single"], {"a": samples(1)}))
    path = tmp_path / "plot.png"
    assert not plot_ratios(alone, path)
    assert not plot_growth(alone, path)
    assert not path.exists()


def test_above_1_is_better_whatever_is_counted() -> None:
    measured = [
        Measured(WORKLOADS["single"], {"a": samples(50, 60, 90), "b": samples(100, 60, 30)}),
        Measured(WORKLOADS["long"], {"a": samples(0.25), "b": samples(0.5), "c": []}),
        Measured(WORKLOADS["running-1"], {"a": samples(1), "b": samples(2)}),
    ]
    found = {label: (spread.least, spread.most) for label, spread in plots._ratios(measured)}
    assert found == {"single (b)": (0.5, 3.0), "long (b)": (2.0, 2.0)}


def test_every_axis_of_a_workload_has_a_name() -> None:
    sweeps = [workload.sweep for workload in (*WORKLOADS.values(), vocabulary(49_152))]
    assert {sweep.axis for sweep in sweeps if sweep is not None} == set(plots.AXES)


@pytest.mark.parametrize("name", ["plot.svg", "plot", "png"])
def test_a_file_that_is_no_png_is_refused(name: str) -> None:
    with pytest.raises(BenchError, match=name):
        check_plotting(Path(name))
    check_plotting(Path("plot.png"))
