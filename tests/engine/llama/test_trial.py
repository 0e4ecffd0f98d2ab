"""The trial program: its computations and its output."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from friendli_endpoint.engine.core.backend import Logits
from friendli_endpoint.engine.llama import trial
from friendli_endpoint.engine.llama.cache import DecodeError
from friendli_endpoint.engine.llama.library import LibraryError
from friendli_endpoint.engine.llama.model import ModelError
from tests.contract.live import until
from tests.support.gguf_edit import GgufDraft


@dataclass
class Scene:
    """State of a scripted model, and a record of the computations.

    Attributes:
        tokens: Tokens of every text in the vocabulary of the model.
        context: Training context of the model.
        has_windows: Whether layers of the model use sliding-window attention.
        faults: Errors that opening a file raises, by the name of the file.
        infinite: Adapters with which logits are not finite.
        computed: Flash attention, adapters and prompts of each computation.
    """

    tokens: list[int] = field(default_factory=lambda: [5, 6, 7])
    context: int = 64
    has_windows: bool = False
    faults: dict[str, Exception] = field(default_factory=dict)
    infinite: set[int] = field(default_factory=set)
    computed: list[tuple[bool | None, tuple[int, ...], list[list[int]]]] = field(
        default_factory=list
    )

    def open(
        self, _library: object, path: Path, *, split_q4_1: bool, repack: bool, gpu_layers: int
    ) -> SimpleNamespace:
        assert not split_q4_1 and not repack
        self.check(path)
        return SimpleNamespace(
            train_context=self.context,
            has_windows=self.has_windows,
            on_cpu=gpu_layers == 0,
            load_adapter=self.adapter,
        )

    def check(self, path: Path) -> None:
        if fault := self.faults.get(path.name):
            raise fault

    def adapter(self, path: Path) -> int:
        self.check(path)
        return int(path.stem)

    def vocabulary(self, _model: object) -> SimpleNamespace:
        return SimpleNamespace(tokenize=lambda _text, special: list(self.tokens))


class ScriptedCache:
    """A KV cache that records what it computes."""

    def __init__(self, scene: Scene, flash: bool | None) -> None:
        self._scene = scene
        self._flash = flash
        self._adapters: tuple[int, ...] = ()
        self._prompts: list[list[int]] = []

    def set_adapters(self, adapters: tuple[int, ...]) -> None:
        self._adapters = adapters

    def append(self, _slot: int, tokens: list[int], position: int, outputs: Logits) -> None:
        assert position == 0
        assert [*outputs] == [False] * (len(tokens) - 1) + [True]
        self._prompts.append(list(tokens))

    def logits(self, rows: int) -> Logits:
        is_infinite = not self._scene.infinite.isdisjoint(self._adapters)
        return np.full((rows, 3), np.inf if is_infinite else 0.5, np.float32)

    def decode(
        self, slots: object, tokens: list[int], positions: list[int], min_sequences: int
    ) -> list[Logits]:
        assert positions == [len(prompt) for prompt in self._prompts]
        assert min_sequences == 2 == len(tokens)
        return [self.logits(1)[0]] * 2

    def close(self) -> None:
        self._scene.computed.append((self._flash, self._adapters, self._prompts))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Replaces the C library and everything that changes the current process."""
    scene = Scene()
    for name in ("_exit_with_parent", "_set_process_limits", "find_library"):
        monkeypatch.setattr(trial, name, lambda *_paths: None)
    monkeypatch.setattr(trial, "load", lambda _path, gpu: None)
    monkeypatch.setattr(trial, "LlamaModel", scene.open)
    monkeypatch.setattr(trial, "LlamaVocabulary", scene.vocabulary)
    monkeypatch.setattr(
        trial,
        "KVCache",
        lambda _model, _count, _context, _threads, flash, _batch: ScriptedCache(scene, flash),
    )
    return scene


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


LONG, PAIR = [5, 6, 7] * 3, [5, 6]


def test_a_model_is_computed_with_and_without_flash_attention(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial.main(["m.gguf"]) == 0
    assert scene.computed == [(False, (), [LONG, PAIR]), (True, (), [PAIR, PAIR])]
    assert lines(capsys) == ["m.gguf"]


def test_a_model_with_sliding_windows_is_computed_without_flash_attention(scene: Scene) -> None:
    scene.has_windows = True
    assert trial.main(["m.gguf"]) == 0
    assert scene.computed == [(False, (), [LONG, PAIR])]


@pytest.mark.parametrize("has_windows", [False, True])
def test_a_model_on_gpus_is_computed_with_the_attention_that_llama_cpp_chooses(
    scene: Scene, has_windows: bool
) -> None:
    scene.has_windows = has_windows
    assert trial.main(["--gpu-layers", "3", "--", "m.gguf"]) == 0
    assert scene.computed == [(None, (), [LONG, PAIR])]


@pytest.mark.parametrize("tokens", [[], [3], [1, 2, 3, 4], list(range(40))])
def test_the_longer_prompt_always_has_nine_tokens(scene: Scene, tokens: list[int]) -> None:
    scene.tokens = tokens
    assert trial.main(["m.gguf"]) == 0
    ((long, pair), _) = (prompts for _, _, prompts in scene.computed)
    assert (len(long), len(pair)) == (9, 2)
    assert set(long) <= set(tokens or [0])


def test_each_adapter_is_printed_and_tried_in_order(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial.main(["m.gguf", "1.gguf", "2.gguf"]) == 0
    assert [(flash, adapters) for flash, adapters, _ in scene.computed] == [
        (False, (1,)),
        (True, (1,)),
        (False, (2,)),
        (True, (2,)),
    ]
    assert lines(capsys) == ["m.gguf", "1.gguf", "2.gguf"]


def test_the_last_line_names_the_adapter_whose_logits_are_not_finite(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.infinite = {2}
    assert trial.main(["m.gguf", "1.gguf", "2.gguf", "3.gguf"]) == 1
    reason = "2.gguf produces logits that are not finite"
    assert lines(capsys) == ["m.gguf", "1.gguf", "2.gguf", reason]
    assert {adapters for _, adapters, _ in scene.computed} == {(1,)}


@pytest.mark.parametrize("fault", [ModelError("bad"), LibraryError("bad"), DecodeError("bad")])
@pytest.mark.parametrize("name", ["m.gguf", "1.gguf"])
def test_the_last_line_is_the_error_of_the_file(
    scene: Scene, capsys: pytest.CaptureFixture[str], fault: Exception, name: str
) -> None:
    scene.faults = {name: fault}
    assert trial.main(["m.gguf", "1.gguf"]) == 1
    assert lines(capsys)[-2:] == [name, "bad"]


@pytest.mark.parametrize("context", [0, -1])
def test_a_model_with_an_invalid_context_length_is_not_computed(
    scene: Scene, capsys: pytest.CaptureFixture[str], context: int
) -> None:
    scene.context = context
    assert trial.main(["m.gguf"]) == 1
    assert lines(capsys)[-1] == f"m.gguf has an invalid context length of {context} tokens"
    assert scene.computed == []


def test_an_unexpected_exception_is_not_reported_as_an_error_of_the_file(scene: Scene) -> None:
    scene.faults = {"m.gguf": KeyError("a")}
    with pytest.raises(KeyError):
        trial.main(["m.gguf"])


def test_the_process_writes_no_core_dump_and_is_the_first_for_the_oom_killer() -> None:
    source = (
        "import resource\n"
        "from friendli_endpoint.engine.llama import trial\n"
        "trial._set_process_limits()\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), open('/proc/self/oom_score_adj').read())"
    )
    completed = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout.split() == ["(0,", "0)", "1000"]


def test_a_trial_exits_when_its_parent_is_killed(tmp_path: Path) -> None:
    model = GgufDraft([], [], b"").write(tmp_path / "model.gguf")
    os.mkfifo(tmp_path / "started")
    (tmp_path / "waiting_trial.py").write_text(
        "import os, threading\n"
        "from friendli_endpoint.engine.llama import trial\n"
        "trial._exit_with_parent()\n"
        f"with open({str(tmp_path / 'started')!r}, 'w') as file: file.write(str(os.getpid()))\n"
        "threading.Event().wait()\n"
    )
    source = (
        "from pathlib import Path\n"
        "from friendli_endpoint.engine.llama import trials\n"
        "trials.PROGRAM = 'waiting_trial'\n"
        f"trials.Trials().try_model(Path({str(model)!r}))\n"
    )
    paths = [str(tmp_path), *sys.path]
    parent = subprocess.Popen(
        [sys.executable, "-c", source], env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    )
    child = int((tmp_path / "started").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not is_running(child), 20, "the trial has exited")


def is_running(process: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
