"""Plots of a benchmark run: ratios of the first server to its peers, and step time by sweep."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from friendli._install import install_extra
from friendli_endpoint.bench.rounds import Measurement
from friendli_endpoint.bench.session import Report
from friendli_endpoint.bench.stats import Spread, ratios
from friendli_endpoint.bench.wire import BenchError

__all__ = ["check_plotting", "growth_path", "plot_growth", "plot_multiples", "plot_ratios"]

AXES = {
    "running": "sequences that run",
    "depth": "tokens of context",
    "vocabulary": "tokens of the vocabulary",
    "busy": "spinning processes beside one stream",
}


def check_plotting(path: Path) -> None:
    """Checks that a plot can be written, before anything is measured.

    Raises:
        BenchError: matplotlib is not installed, or the path does not end in `.png`.
    """
    if path.suffix != ".png":
        raise BenchError(f"--plot draws a PNG file: {path} does not end in .png")
    if find_spec("matplotlib") is None:
        raise BenchError(f"--plot needs matplotlib; install it with: {install_extra('bench')}")


def growth_path(path: Path) -> Path:
    """Returns the path for the plot of sweeps, next to the plot of ratios."""
    return path.with_stem(f"{path.stem}-growth")


def plot_ratios(report: Report, path: Path) -> bool:
    """Plots a point per workload and peer; returns False, and writes no file, if there is none."""
    from matplotlib.figure import Figure

    points = _ratios(report.measured)
    if not points:
        return False
    figure = Figure(figsize=(8, 1.2 + 0.3 * len(points)), layout="constrained")
    axes = figure.subplots()
    for row, (_, spread) in enumerate(reversed(points)):
        color = "tab:green" if spread.median >= 1 else "tab:red"
        axes.plot([spread.min, spread.max], [row, row], color=color, alpha=0.4, linewidth=4)
        axes.plot(spread.median, row, "o", color=color)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(points)), [label for label, _ in reversed(points)])
    first = next(iter(report.measured[0].samples))
    axes.set_xlabel(f"{first}: times better, median and least to most of all rounds")
    axes.set_title(_title(report))
    figure.savefig(path, dpi=150)
    return True


def plot_growth(report: Report, path: Path) -> bool:
    """Plots step time along each measured axis; returns False, and writes no file, if none is."""
    from matplotlib.figure import Figure

    sweeps: dict[str, list[Measurement]] = {}
    for measurement in report.measured:
        if measurement.workload.sweep is not None:
            sweeps.setdefault(measurement.workload.sweep.axis, []).append(measurement)
    if not sweeps:
        return False
    figure = Figure(figsize=(max(6, 4.5 * len(sweeps)), 3.5), layout="constrained")
    (row,) = figure.subplots(1, len(sweeps), squeeze=False)
    for axes, (axis, points) in zip(row, sweeps.items(), strict=True):
        for server in points[0].samples:
            curve = [
                (point.workload.sweep.position, median(point.values(server)) * 1000)
                for point in points
                if point.workload.sweep is not None and point.samples.get(server)
            ]
            axes.plot([x for x, _ in curve], [y for _, y in curve], "o-", label=server)
        axes.set_xlabel(AXES[axis])
        axes.set_ylabel("ms from token to token")
        axes.set_ylim(bottom=0)
        axes.legend()
    figure.suptitle(_title(report))
    figure.savefig(path, dpi=150)
    return True


def plot_multiples(multiples: Mapping[str, Spread], label: str, path: Path) -> None:
    """Plots a bar from zero to the median of each name, with the range of its rounds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1 + 0.3 * len(multiples)), layout="constrained")
    axes = figure.subplots()
    for row, spread in enumerate(reversed([*multiples.values()])):
        axes.barh(row, spread.median, color="tab:blue", height=0.6)
        axes.plot([spread.min, spread.max], [row, row], color="black", linewidth=1)
    axes.set_yticks(range(len(multiples)), [*multiples][::-1])
    axes.set_xlabel(label)
    figure.savefig(path, dpi=150)


def _ratios(measured: Sequence[Measurement]) -> list[tuple[str, Spread]]:
    """Returns a label and ratios per workload and peer; above 1 is better for every unit."""
    points = []
    for measurement in measured:
        workload = measurement.workload
        first, *peers = measurement.samples
        for name in peers:
            first_values, peer_values = measurement.values(first), measurement.values(name)
            if workload.sweep is None and first_values and peer_values:
                spread = ratios(first_values, peer_values)
                spread = spread if workload.higher_is_better else spread.inverse()
                points.append((f"{workload.name} ({name})", spread))
    return points


def _title(report: Report) -> str:
    return f"{report.day}, {report.machine}"
