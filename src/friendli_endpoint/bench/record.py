"""JSON form of a benchmark run: every sample, round by round."""

import json
from dataclasses import asdict
from typing import Any

from friendli_endpoint.bench.rounds import Measurement
from friendli_endpoint.bench.session import Report

__all__ = ["as_json"]


def as_json(report: Report, command: str) -> str:
    """Formats the raw results as JSON; times are in seconds, memory is in bytes.

    Args:
        report: The report of the run.
        command: The command line that started the run.
    """
    document = {
        "date": report.day,
        "machine": report.machine,
        "versions": report.versions,
        "command": command,
        "rounds": report.rounds,
        "memory": report.memory,
        "workloads": [_workload(measurement) for measurement in report.measured],
    }
    return json.dumps(document, indent=1)


def _workload(measurement: Measurement) -> dict[str, Any]:
    workload = measurement.workload
    return {
        "name": workload.name,
        "about": workload.description,
        "unit": workload.unit,
        "higher_is_better": workload.higher_is_better,
        "sweep": asdict(workload.sweep) if workload.sweep else None,
        "servers": {
            name: [asdict(sample) for sample in samples]
            for name, samples in measurement.samples.items()
        },
        "faults": dict(measurement.faults),
    }
