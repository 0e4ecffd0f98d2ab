"""JSON form of a benchmark run."""

import json

from friendli_endpoint.bench.record import as_json
from friendli_endpoint.bench.rounds import Measurement
from friendli_endpoint.bench.workloads import WORKLOADS
from tests.bench.reports import report, samples


def test_the_json_contains_every_sample_and_fault() -> None:
    single, running = WORKLOADS["single"], WORKLOADS["running-4"]
    whole = report(
        Measurement(single, {"a": samples(50.5, failed=1), "b": []}, {"b": "it answers 500"}),
        Measurement(running, {"a": samples(0.25, 0.5)}),
        a=300 << 20,
    )
    record = json.loads(as_json(whole, "friendli-endpoint bench"))
    workloads = record.pop("workloads")
    assert record == {
        "date": whole.day,
        "machine": whole.machine,
        "versions": {},
        "command": "friendli-endpoint bench",
        "rounds": 3,
        "memory": {"a": 300 << 20},
    }
    gaps = samples(1)[0].outcome.gaps
    assert workloads[0] == {
        "name": "single",
        "about": single.description,
        "unit": "tokens/s",
        "higher_is_better": True,
        "sweep": None,
        "servers": {
            "a": [
                {
                    "outcome": {"value": 50.5, "first_tokens": [0.1], "gaps": gaps, "failed": 1},
                    "seconds": 1.0,
                    "client_share": 0.04,
                }
            ],
            "b": [],
        },
        "faults": {"b": "it answers 500"},
    }
    assert workloads[1]["sweep"] == {"axis": "running", "position": 4}
    assert [sample["outcome"]["value"] for sample in workloads[1]["servers"]["a"]] == [0.25, 0.5]
    assert not workloads[1]["higher_is_better"]
