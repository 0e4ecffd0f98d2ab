"""A run as JSON: everything that was measured, round by round."""

import json
from dataclasses import asdict
from typing import Any

from friendli_endpoint.bench.rounds import Measured
from friendli_endpoint.bench.session import Report

__all__ = ["as_json"]


def as_json(report: Report, command: str) -> str:
    """The raw results; times are in seconds, memory is in bytes.

    Args:
        report: Of the run.
        command: That started it.
    """
    document = {
        "date": report.day,
        "machine": report.machine,
        "versions": report.versions,
        "command": command,
        "rounds": report.rounds,
        "memory": report.memory,
        "workloads": [_workload(each) for each in report.measured],
    }
    return json.dumps(document, indent=1)


def _workload(measured: Measured) -> dict[str, Any]:
    workload = measured.workload
    return {
        "name": workload.name,
        "about": workload.about,
        "unit": workload.unit,
        "higher_is_better": workload.higher,
        "sweep": asdict(workload.sweep) if workload.sweep else None,
        "servers": {
            name: [asdict(sample) for sample in samples]
            for name, samples in measured.samples.items()
        },
        "faults": dict(measured.faults),
    }
