"""Plots of reports with given values."""

from pathlib import Path

import pytest
from matplotlib import image

from friendli_endpoint.bench import plots
from friendli_endpoint.bench.plots import check_plotting, growth_path, plot_growth, plot_ratios
from friendli_endpoint.bench.rounds import Measurement
from friendli_endpoint.bench.wire import BenchError
from friendli_endpoint.bench.workloads import WORKLOADS, vocabulary
from tests.bench.reports import report, samples


@pytest.mark.parametrize("axis", ["running", "depth", "busy"])
def test_ratios_and_sweeps_are_plotted(tmp_path: Path, axis: str) -> None:
    curve = [
        Measurement(workload, {"a": samples(1.0), "b": [] if number else samples(2.0)})
        for number, workload in enumerate(WORKLOADS.values())
        if workload.sweep is not None and workload.sweep.axis == axis
    ]
    single = Measurement(WORKLOADS["single"], {"a": samples(1), "b": samples(2)})
    path = tmp_path / "plot.png"
    whole = report(single, *curve)
    assert plot_ratios(whole, path) and plot_growth(whole, growth_path(path))
    for file in (path, tmp_path / "plot-growth.png"):
        drawn = image.imread(file)
        assert drawn.shape[0] > 100 and drawn.min() < drawn.max()


def test_no_file_is_written_without_ratios_and_sweeps(tmp_path: Path) -> None:
    alone = report(Measurement(WORKLOADS["single"], {"a": samples(1)}))
    path = tmp_path / "plot.png"
    assert not plot_ratios(alone, path)
    assert not plot_growth(alone, path)
    assert not path.exists()


def test_ratios_above_1_are_better_for_every_unit() -> None:
    measured = [
        Measurement(WORKLOADS["single"], {"a": samples(50, 60, 90), "b": samples(100, 60, 30)}),
        Measurement(WORKLOADS["long"], {"a": samples(0.25), "b": samples(0.5), "c": []}),
        Measurement(WORKLOADS["running-1"], {"a": samples(1), "b": samples(2)}),
    ]
    found = {label: (spread.min, spread.max) for label, spread in plots._ratios(measured)}
    assert found == {"single (b)": (0.5, 3.0), "long (b)": (2.0, 2.0)}


def test_every_sweep_axis_has_a_label() -> None:
    sweeps = [workload.sweep for workload in (*WORKLOADS.values(), vocabulary(49_152))]
    assert {sweep.axis for sweep in sweeps if sweep is not None} == set(plots.AXES)


@pytest.mark.parametrize("name", ["plot.svg", "plot", "png"])
def test_a_plot_file_that_does_not_end_in_png_is_rejected(name: str) -> None:
    with pytest.raises(BenchError, match=name):
        check_plotting(Path(name))
    check_plotting(Path("plot.png"))
