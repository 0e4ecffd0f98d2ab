"""Draws a run: how many times better the first server is, and how its steps grow."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from friendli_endpoint.bench.figures import Spread, ratios
from friendli_endpoint.bench.rounds import Measured
from friendli_endpoint.bench.session import Report
from friendli_endpoint.bench.wire import BenchError

__all__ = ["check_plotting", "growth_path", "plot_growth", "plot_ratios"]

AXES = {
    "running": "sequences that run",
    "depth": "tokens of context",
    "vocabulary": "tokens of the vocabulary",
}


def check_plotting(path: Path) -> None:
    """Looks whether there is what draws, before anything is measured.

    Raises:
        BenchError: There is not, or the file is no PNG file.
    """
    if path.suffix != ".png":
        raise BenchError(f"--plot draws a PNG file: {path} does not end in .png")
    if find_spec("matplotlib") is None:
        raise BenchError("--plot needs matplotlib: pip install 'friendli-dedicated[bench]'")


def growth_path(path: Path) -> Path:
    """Where the curves go, beside the ratios."""
    return path.with_stem(f"{path.stem}-growth")


def plot_ratios(report: Report, path: Path) -> bool:
    """Draws a point for every workload and server beside the first; says whether there was one."""
    from matplotlib.figure import Figure

    points = _ratios(report.measured)
    if not points:
        return False
    figure = Figure(figsize=(8, 1.2 + 0.3 * len(points)), layout="constrained")
    axes = figure.subplots()
    for row, (_, spread) in enumerate(reversed(points)):
        better = "tab:green" if spread.middle >= 1 else "tab:red"
        axes.plot([spread.least, spread.most], [row, row], color=better, alpha=0.4, linewidth=4)
        axes.plot(spread.middle, row, "o", color=better)
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
    """Draws the time of a step along every axis that was measured; says whether there was one."""
    from matplotlib.figure import Figure

    sweeps: dict[str, list[Measured]] = {}
    for each in report.measured:
        if each.workload.sweep is not None:
            sweeps.setdefault(each.workload.sweep.axis, []).append(each)
    if not sweeps:
        return False
    figure = Figure(figsize=(max(6, 4.5 * len(sweeps)), 3.5), layout="constrained")
    (row,) = figure.subplots(1, len(sweeps), squeeze=False)
    for axes, (axis, points) in zip(row, sweeps.items(), strict=True):
        for server in points[0].samples:
            curve = [
                (each.workload.sweep.position, median(each.values(server)) * 1000)
                for each in points
                if each.workload.sweep is not None and each.samples.get(server)
            ]
            axes.plot([x for x, _ in curve], [y for _, y in curve], "o-", label=server)
        axes.set_xlabel(AXES[axis])
        axes.set_ylabel("ms from token to token")
        axes.set_ylim(bottom=0)
        axes.legend()
    figure.suptitle(_title(report))
    figure.savefig(path, dpi=150)
    return True


def _ratios(measured: Sequence[Measured]) -> list[tuple[str, Spread]]:
    """Above 1 is better, whatever is counted."""
    points = []
    for each in measured:
        first, *others = each.samples
        for name in others:
            mine, theirs = each.values(first), each.values(name)
            if each.workload.sweep is None and mine and theirs:
                spread = ratios(mine, theirs)
                spread = spread if each.workload.higher else spread.inverse()
                points.append((f"{each.workload.name} ({name})", spread))
    return points


def _title(report: Report) -> str:
    return f"{report.day}, {report.machine}"
