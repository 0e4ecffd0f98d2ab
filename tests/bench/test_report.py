"""Tables of reports with given values."""

from friendli_endpoint.bench.report import Table, columns, markdown, records, tables
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


def test_columns_of_a_table_for_a_terminal_are_aligned() -> None:
    table = Table(["server", "peak"], [["a", "300 MiB"], ["llama.cpp", ""]])
    assert columns(table).splitlines() == [
        "server     peak",
        "a          300 MiB",
        "llama.cpp",
    ]


def test_a_wide_table_has_a_paragraph_for_each_row_without_wrapped_words() -> None:
    names = {"friendli-endpoint": samples(50, 60), "llama.cpp": samples(100, 60)}
    every = [Measurement(workload, names) for workload in WORKLOADS.values()]
    for table in tables(report(*every, a=300 << 20)):
        for width in (20, 40, 80):
            text = records(table, width)
            paragraphs = text.split("\n\n")
            assert len(paragraphs) == len(table.rows)
            for paragraph, row in zip(paragraphs, table.rows, strict=True):
                words = [*" ".join(row).split(), *" ".join(table.columns).split()]
                assert set(paragraph.split()) <= set(words)
                assert all(word in paragraph.split() for cell in row for word in cell.split())
    assert max(map(len, text.splitlines())) <= 80


def test_a_record_has_a_line_for_each_cell_that_is_not_empty() -> None:
    table = Table(["workload", "", "peer"], [["single", "one short stream", ""], ["b", "", "x"]])
    assert records(table, 22).splitlines() == [
        "workload  single",
        "          one short",
        "          stream",
        "",
        "workload  b",
        "peer      x",
    ]
