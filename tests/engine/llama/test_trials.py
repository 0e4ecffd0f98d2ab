"""Trials of model and adapter files in separate processes: errors, isolation and shutdown."""

import os
import pickle
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from friendli_endpoint.engine.llama import trials
from friendli_endpoint.engine.llama.library import LibraryError, find_library
from friendli_endpoint.engine.llama.model import ModelError
from friendli_endpoint.engine.llama.trials import Trials
from friendli_endpoint.generation import RequestError
from tests.support.gguf_edit import GgufDraft, number
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

pytestmark = pytest.mark.model

U32 = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_byte_pairs(tmp_path_factory.mktemp("models") / "llama.gguf", LLAMA)


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    (path,) = write_loras(tmp_path_factory.mktemp("loras"), model, range(1))
    return path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Returns a function that replaces the trial program by another source."""

    def write(source: str) -> None:
        head = "import os, sys\nprint(sys.argv[sys.argv.index('--') + 1])\n"
        (tmp_path / "scripted_trial.py").write_text(head + source)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
        monkeypatch.setattr(trials, "PROGRAM", "scripted_trial")

    return write


def changed(model: Path, path: Path, key: str, value: int) -> Path:
    draft = GgufDraft.read(model)
    draft.pairs = [number(key, U32, value) if p.key == key else p for p in draft.pairs]
    return draft.write(path)


def test_a_valid_model_and_adapter_pass(model: Path, lora: Path) -> None:
    Trials().try_model(model)
    Trials().try_adapters(model, [lora])


def test_a_trial_uses_the_library_and_the_gpu_layers_of_the_engine(
    program: Callable[[str], None], model: Path
) -> None:
    program("print(sys.argv[1:-2], flush=True); sys.exit(1)")
    library = find_library()
    for running_trials in (Trials(library, 3), pickle.loads(pickle.dumps(Trials(library, 3)))):
        with pytest.raises(ModelError) as caught:
            running_trials.try_model(model)
        assert str(caught.value) == str(["--library", str(library), "--gpu-layers", "3"])
    with pytest.raises(LibraryError, match=r"none\.so does not exist"):
        Trials(model.parent / "none.so").try_model(model)


def test_a_model_that_crashes_llama_cpp_is_an_error_with_its_assertion(
    model: Path, tmp_path: Path
) -> None:
    path = changed(model, tmp_path / "deep.gguf", "llama.block_count", 600)
    with pytest.raises(ModelError, match=r"llama\.cpp fails on .*deep\.gguf: GGML_ASSERT\("):
        Trials().try_model(path)


def test_a_model_that_llama_cpp_does_not_load_is_an_error(model: Path, tmp_path: Path) -> None:
    path = changed(model, tmp_path / "wide.gguf", "llama.embedding_length", 64)
    with pytest.raises(ModelError, match=r"llama\.cpp cannot load .*wide\.gguf"):
        Trials().try_model(path)


def test_a_model_with_an_invalid_context_length_is_an_error(model: Path, tmp_path: Path) -> None:
    path = changed(model, tmp_path / "m.gguf", "llama.context_length", 2**32 - 1)
    with pytest.raises(ModelError, match="has an invalid context length of -1 tokens"):
        Trials().try_model(path)


def test_a_truncated_model_is_an_error_before_the_trial(model: Path, tmp_path: Path) -> None:
    (tmp_path / "short.gguf").write_bytes(model.read_bytes()[:-64])
    with pytest.raises(ModelError, match=r"short\.gguf is damaged: it ends before"):
        Trials().try_model(tmp_path / "short.gguf")


def test_an_adapter_with_logits_that_are_not_finite_is_an_error(
    model: Path, lora: Path, tmp_path: Path
) -> None:
    draft = GgufDraft.read(lora)
    draft.data = np.full(len(draft.data) // 4, np.inf, "<f4").tobytes()
    bad = draft.write(tmp_path / "bad.gguf")
    with pytest.raises(ModelError, match=r"bad\.gguf produces logits that are not finite"):
        Trials().try_adapters(model, [lora, bad])


def test_a_copy_is_tried_and_errors_name_the_original_file(
    model: Path, lora: Path, tmp_path: Path
) -> None:
    path = tmp_path / "lora.gguf"
    path.write_bytes(lora.read_bytes())
    with Trials().tried_copy(model, path) as copy:
        path.unlink()
        assert copy.read_bytes() == lora.read_bytes()
    with pytest.raises(ModelError, match=f"cannot read {path}"):
        with Trials().tried_copy(model, path):
            pass


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("os.abort()", "signal SIGABRT"),
        ("os.kill(os.getpid(), 11)", "signal SIGSEGV"),
        (
            "os.write(2, b'/a/ggml.c:7: GGML_ASSERT(x) failed\\n'); os.abort()",
            "GGML_ASSERT(x) failed",
        ),
        ("os.write(2, b'terminate\\n  what():  map::at\\n'); os.abort()", "map::at"),
        ("sys.exit(3)", "exit code 3"),
    ],
)
def test_the_message_says_how_the_trial_process_ended(
    source: str, reason: str, program: Callable[[str], None], model: Path
) -> None:
    program(source)
    with pytest.raises(ModelError) as caught:
        Trials().try_model(model)
    assert str(caught.value) == f"llama.cpp fails on {model}: {reason}"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "os.write(2, b'malloc: insufficient memory (attempted  7 MB)\\n/a/ggml.c:7: "
            "GGML_ASSERT(x) failed\\n'); os.abort()",
            "insufficient memory (attempted 7 MB)",
        ),
        (
            "os.write(2, b'x: failed to allocate 9\\n'); print('a sentence'); sys.exit(1)",
            "failed to allocate 9",
        ),
        ("os.write(2, b'  what():  std::bad_alloc\\n'); os.abort()", "std::bad_alloc"),
        ("raise MemoryError", "MemoryError"),
        ("os.kill(os.getpid(), 9)", "the system killed the process"),
    ],
)
def test_a_trial_that_lacks_memory_does_not_blame_the_file(
    source: str, reason: str, program: Callable[[str], None], model: Path
) -> None:
    program(source)
    with pytest.raises(ModelError) as caught:
        Trials().try_model(model)
    assert str(caught.value) == f"there is not enough memory to try {model}: {reason}"


@pytest.mark.parametrize("limit", [10, 30, 40, 50])
def test_a_trial_with_little_address_space_does_not_blame_the_file(
    limit: int, program: Callable[[str], None], model: Path
) -> None:
    program(
        "import resource\n"
        "from friendli_endpoint.engine.llama import trial\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + ({limit} << 20),) * 2)\n"
        "sys.exit(trial.main(sys.argv[1:]))"
    )
    try:
        Trials().try_model(model)
    except ModelError as error:
        assert re.match("there is not enough memory to try|the library .* cannot be", str(error))


def test_a_trial_inherits_no_secrets_and_no_file_descriptors(
    program: Callable[[str], None], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRIENDLI_ENDPOINT_TOKENS", "secret")
    program(
        "import stat\n"
        "names = sorted(int(name) for name in os.listdir('/proc/self/fd'))\n"
        "descriptors = [n for n in names if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "print(descriptors, stat.S_ISFIFO(os.fstat(0).st_mode), [n for n in os.environ"
        " if 'FRIENDLI' in n], flush=True); sys.exit(1)"
    )
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)
    try:
        with pytest.raises(ModelError) as caught:
            Trials().try_model(model)
    finally:
        os.close(read_end)
        os.close(write_end)
    assert str(caught.value) == "[0, 1, 2] True []"


def test_a_trial_that_takes_too_long_is_killed(
    program: Callable[[str], None], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("sys.stdout.flush()\nimport signal\nsignal.pause()")
    monkeypatch.setattr(trials, "TRIAL_SECONDS", 1.0)
    with pytest.raises(ModelError, match=r"fails on .*: it takes longer than 1 seconds"):
        Trials().try_model(model)


def test_closing_kills_a_running_trial(
    program: Callable[[str], None], model: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "started")
    program(f"open({str(tmp_path / 'started')!r}, 'w').close()\nimport signal\nsignal.pause()")
    running_trials = Trials()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            running_trials.try_model(model)
        except RequestError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    (tmp_path / "started").open().close()
    running_trials.close()
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(errors[0], RequestError) and errors[0].code == "draining"
    with pytest.raises(RequestError):
        running_trials.try_model(model)
