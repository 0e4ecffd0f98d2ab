"""Tables of reports with given values."""

from friendli_endpoint.bench.report import markdown, tables
from friendli_endpoint.bench.rounds import Measurement
from friendli_endpoint.bench.workloads import WORKLOADS
from tests.bench.reports import report, samples


def test_ratios_are_the_first_server_to_the_peer_by_round() -> None:
    single = Measurement(WORKLOADS["single"], {"a": samples(50, 60, 90), "b": samples(100, 60, 30)})
    long = Measurement(WORKLOADS["long"], {"a": samples(0.25), "b": samples(0.5)})
    values, *_ = tables(report(single, long))
    assert values.columns[3] == "a"
    assert [row[0] for row in values.rows] == ["single", "long"]
    assert [list(row[2:]) for row in values.rows] == [
        ["tokens/s ↑", "60.0", "b", "60.0", "1.00 (0.50 to 3.00)"],
        ["s ↓", "0.25", "b", "0.5", "0.50 (0.50 to 0.50)"],
    ]


def test_latencies_are_percentiles_over_all_rounds() -> None:
    single = Measurement(WORKLOADS["single"], {"a": samples(50, 60)})
    _, latencies = tables(report(single))
    (row,) = latencies.rows
    assert list(row) == ["single", "a", "100 ms", "100 ms", *ranks("50", "95", "99", "100"), "4%"]


def ranks(*milliseconds: str) -> list[str]:
    return [f"{time} ms" for time in milliseconds]


def test_memory_failed_servers_and_invalid_answers_have_rows() -> None:
    schema = Measurement(
        WORKLOADS["schema8"], {"a": samples(2, 3, failed=1), "b": []}, {"b": "it answers 500"}
    )
    values, _, memory, faults = tables(report(schema, a=300 << 20))
    assert list(values.rows[0])[3:] == ["2.5", "b", "failed", ""]
    assert [list(row) for row in memory.rows] == [["a", "300 MiB"]]
    assert [list(row) for row in faults.rows] == [
        ["schema8", "b", "it answers 500"],
        ["schema8", "a", "2 answers were not valid"],
    ]


def test_all_lines_of_a_markdown_table_have_the_same_number_of_cells() -> None:
    single = Measurement(WORKLOADS["single"], {"a": samples(1), "b": samples(2), "c": samples(3)})
    curve = Measurement(WORKLOADS["depth-256"], {"a": samples(1), "b": samples(2)})
    for table in tables(report(single, curve, a=1 << 20)):
        widths = {line.count("|") for line in markdown(table).splitlines()}
        assert widths == {len(table.columns) + 1}
