"""Tests of `friendli-endpoint bench`, from flags to files, on scripted servers."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import JSONResponse

from friendli._install import install_extra
from friendli_endpoint.bench import idle
from friendli_endpoint.bench.report import Table
from friendli_endpoint.cli.bench import format_table
from tests.bench.loopback import exact_reply, serving

from .command import run, sentence

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the wait for an idle machine, because these tests do not depend on timings."""
    monkeypatch.setattr(idle, "POLL_SECONDS", 0.02)


def rows(output: str) -> list[list[str]]:
    """Returns the cells of Markdown tables."""
    lines = [line for line in output.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.load
def test_two_addresses_are_measured_in_interleaved_rounds_and_compared(tmp_path: Path) -> None:
    order: list[int] = []

    def reply(server: int) -> Any:
        def replied(body: dict[str, Any]) -> Any:
            order.append(server)
            return exact_reply(body)

        return replied

    raw, plot = tmp_path / "raw.json", tmp_path / "plot.png"
    with serving(reply(0)) as first, serving(reply(1)) as second:
        result = run(
            *("bench", "--url", f"llama.cpp={first.url}", "--url", second.url, "--rounds", "2"),
            *("--workload", "single", "--workload", "running-1", "--endpoint-id", "m", "--table"),
            *("--json", str(raw), "--plot", str(plot)),
            FRIENDLI_TOKEN="secret",
        )
    assert result.exit_code == 0, result.output

    single, running = order[4:8], order[8:]
    assert order[:4] == [0, 0, 1, 1]
    assert single == [0, 1, 1, 0]
    assert running == [0, 1, 1, 0]
    assert {body["model"] for body in first.received} == {"m"}
    assert set(first.authorizations) == {"Bearer secret"}
    assert first.received[0].keys() - second.received[0].keys() == {"top_k"}
    prompts = [{str(body["messages"]) for body in peer.received} for peer in (first, second)]
    # Two warm-ups and two rounds of two workloads: different prompts, the same on both servers.
    assert prompts[0] == prompts[1] and len(prompts[0]) == 2 + 2 + 2

    names = [first.url.split("/")[2], second.url.split("/")[2]]
    table = rows(result.stdout)
    assert ["single", "running-1"] == [row[0] for row in table if row[4:5] == [names[1]]]
    assert "secret" not in result.output + raw.read_text()

    document = json.loads(raw.read_text())
    assert [workload["name"] for workload in document["workloads"]] == ["single", "running-1"]
    assert document["workloads"][1]["sweep"] == {"axis": "running", "position": 1}
    for workload in document["workloads"]:
        assert [*workload["servers"]] == names
        for samples in workload["servers"].values():
            assert len(samples) == 2
            assert all(sample["outcome"]["value"] > 0 for sample in samples)
            assert all(0 <= sample["client_share"] for sample in samples)
    for path in (plot, tmp_path / "plot-growth.png"):
        assert path.read_bytes().startswith(PNG)


def test_one_address_has_values_and_no_ratio(tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    with serving(exact_reply) as server:
        result = run(
            *("bench", "--url", server.url, "--workload", "single", "--rounds", "1"),
            *("--plot", str(plot)),
        )
    assert result.exit_code == 0
    assert ["single"] == [row[0] for row in rows(result.stdout) if "tokens/s ↑" in row]
    assert "round 1 of 1" in result.stderr
    # There is nothing to draw: no ratio and no curve.
    assert [*tmp_path.iterdir()] == []


@pytest.mark.load
def test_a_server_that_fails_a_workload_is_excluded_from_it() -> None:
    def lazy(body: dict[str, Any]) -> Any:
        return exact_reply(body | {"max_tokens": min(body["max_tokens"], 40)})

    with serving(exact_reply) as good, serving(lazy) as bad:
        result = run(
            *("bench", "--url", good.url, "--url", bad.url, "--rounds", "2", "--table"),
            *("--workload", "single", "--workload", "prefix16"),
        )
    assert result.exit_code == 1
    lazy_name = bad.url.split("/")[2]
    failed = [row for row in rows(result.stdout) if row[:2] == ["single", lazy_name]]
    assert "expected 96 tokens, got 40" in failed[-1][2]
    assert "--end-token" in failed[-1][2]
    assert sum("got 40" in line for line in result.stderr.splitlines()) == 1
    prefix, *_ = [row for row in rows(result.stdout) if row[0] == "prefix16"]
    assert prefix[4] == lazy_name and "(" in prefix[6]


def test_the_error_of_a_server_is_quoted() -> None:
    with serving(lambda _body: JSONResponse({"error": "no such model"}, 404)) as server:
        said = sentence(run("bench", "--url", server.url))
    assert "404" in said and "no such model" in said


def test_a_server_that_does_not_count_tokens_cannot_be_measured() -> None:
    with serving(lambda body: exact_reply(body)[:-1]) as server:
        said = sentence(run("bench", "--url", server.url))
    assert "how many tokens" in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--workload", "fastest"], "there is no workload 'fastest'"),
        (["--peer", "ollama"], "there is no peer 'ollama'"),
        (["--url", "localhost"], "is not an address"),
        (["--no-ours"], "there is nothing to measure"),
        (["--vocabulary", "model.gguf"], "SIZE=GGUF"),
        (["--peer", "llama.cpp", "--peer", "llama.cpp"], "llama.cpp is given twice"),
        (["--url", "http://h:1", "--url", "openai=http://h:1"], "h:1 is given twice"),
        (["--json", "missing/raw.json"], "the folder missing does not exist"),
        (["--plot", "plot.svg"], "plot.svg"),
        (["--model", "missing.gguf"], "missing.gguf"),
        (["--url", "http://127.0.0.1:9"], "127.0.0.1:9"),
    ],
)
def test_invalid_flags_are_rejected_with_one_sentence(flags: list[str], said: str) -> None:
    assert said in sentence(run("bench", *flags))


def test_a_plot_without_matplotlib_is_rejected_before_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("friendli_endpoint.bench.plots.find_spec", lambda _name: None)
    with serving(exact_reply) as server:
        said = sentence(run("bench", "--url", server.url, "--plot", "x.png"))
    assert install_extra("bench") in said
    assert server.received == []


@pytest.mark.parametrize("width", [60, 80, 300])
def test_a_terminal_gets_columns_that_fit_or_a_paragraph_per_row(width: int) -> None:
    narrow = Table(["server", "peak"], [["a", "300 MiB"]])
    wide = Table(["workload", "description"], [["single", "one stream " * 10]])
    assert format_table(narrow, width) == "server  peak\na       300 MiB"
    text = format_table(wide, width)
    assert max(map(len, text.splitlines())) <= width
    assert text.startswith("workload  description" if width == 300 else "workload     single")
