"""The program that tries files: what it computes, and what it says of them."""

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
    """What the program finds, and what it does with it.

    Attributes:
        tokens: What its text is in the vocabulary of the model.
        context: Of the model.
        has_windows: Whether layers of the model attend to a sliding window.
        faults: What opening fails with, by the name of the file.
        infinite: The adapters that give numbers that are not finite.
        computed: Flash attention, adapters and prompts of each computation.
    """

    tokens: list[int] = field(default_factory=lambda: [5, 6, 7])
    context: int = 64
    has_windows: bool = False
    faults: dict[str, Exception] = field(default_factory=dict)
    infinite: set[int] = field(default_factory=set)
    computed: list[tuple[bool, tuple[int, ...], list[list[int]]]] = field(default_factory=list)

    def open(self, _library: object, path: Path, parts: bool, repack: bool) -> SimpleNamespace:
        assert not parts and not repack
        self.check(path)
        return SimpleNamespace(
            train_context=self.context, has_windows=self.has_windows, load_adapter=self.adapter
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
    """A cache that notes what it is to compute."""

    def __init__(self, scene: Scene, flash: bool) -> None:
        self._scene = scene
        self._flash = flash
        self._adapters: tuple[int, ...] = ()
        self._prompts: list[list[int]] = []

    def use(self, adapters: tuple[int, ...]) -> None:
        self._adapters = adapters

    def append(self, _slot: int, tokens: list[int], position: int, outputs: Logits) -> None:
        assert position == 0
        assert [*outputs] == [False] * (len(tokens) - 1) + [True]
        self._prompts.append(list(tokens))

    def logits(self, rows: int) -> Logits:
        bad = not self._scene.infinite.isdisjoint(self._adapters)
        return np.full((rows, 3), np.inf if bad else 0.5, np.float32)

    def decode(self, slots: object, tokens: list[int], at: list[int], least: int) -> list[Logits]:
        assert at == [len(prompt) for prompt in self._prompts] and least == 2 == len(tokens)
        return [self.logits(1)[0]] * 2

    def close(self) -> None:
        self._scene.computed.append((self._flash, self._adapters, self._prompts))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A program without a library, that does nothing to the process that it runs in."""
    scene = Scene()
    for name in ("_end_with_parent", "_spare_the_machine", "find_library"):
        monkeypatch.setattr(trial, name, lambda: None)
    monkeypatch.setattr(trial, "load", lambda _path: None)
    monkeypatch.setattr(trial, "LlamaModel", scene.open)
    monkeypatch.setattr(trial, "LlamaVocabulary", scene.vocabulary)
    monkeypatch.setattr(
        trial,
        "Cache",
        lambda _model, _count, _room, _threads, flash, _batch: ScriptedCache(scene, flash),
    )
    return scene


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


LONG, PAIR = [5, 6, 7] * 3, [5, 6]


def test_a_model_is_computed_with_and_without_flash_attention(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial.main(["m.gguf"]) == 0
    assert scene.computed == [(False, (), [LONG, PAIR]), (True, (), [PAIR, PAIR])]
    assert said(capsys) == ["m.gguf"]


def test_a_model_with_windows_is_computed_without_flash_attention(scene: Scene) -> None:
    scene.has_windows = True
    assert trial.main(["m.gguf"]) == 0
    assert scene.computed == [(False, (), [LONG, PAIR])]


@pytest.mark.parametrize("tokens", [[], [3], [1, 2, 3, 4], list(range(40))])
def test_the_long_prompt_has_nine_tokens_whatever_the_vocabulary(
    scene: Scene, tokens: list[int]
) -> None:
    scene.tokens = tokens
    assert trial.main(["m.gguf"]) == 0
    ((long, pair), _) = (prompts for _, _, prompts in scene.computed)
    assert (len(long), len(pair)) == (9, 2)
    assert set(long) <= set(tokens or [0])


def test_each_adapter_is_named_and_computed_with_in_turn(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial.main(["m.gguf", "1.gguf", "2.gguf"]) == 0
    assert [(flash, adapters) for flash, adapters, _ in scene.computed] == [
        (False, (1,)),
        (True, (1,)),
        (False, (2,)),
        (True, (2,)),
    ]
    assert said(capsys) == ["m.gguf", "1.gguf", "2.gguf"]


def test_the_last_line_says_which_adapter_gives_numbers_that_are_not_finite(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.infinite = {2}
    assert trial.main(["m.gguf", "1.gguf", "2.gguf", "3.gguf"]) == 1
    reason = "2.gguf gives numbers that are not finite"
    assert said(capsys) == ["m.gguf", "1.gguf", "2.gguf", reason]
    assert {adapters for _, adapters, _ in scene.computed} == {(1,)}


@pytest.mark.parametrize("fault", [ModelError("bad"), LibraryError("bad"), DecodeError("bad")])
@pytest.mark.parametrize("name", ["m.gguf", "1.gguf"])
def test_the_last_line_says_why_a_file_cannot_be_used(
    scene: Scene, capsys: pytest.CaptureFixture[str], fault: Exception, name: str
) -> None:
    scene.faults = {name: fault}
    assert trial.main(["m.gguf", "1.gguf"]) == 1
    assert said(capsys)[-2:] == [name, "bad"]


@pytest.mark.parametrize("context", [0, -1])
def test_a_model_without_a_context_is_not_computed(
    scene: Scene, capsys: pytest.CaptureFixture[str], context: int
) -> None:
    scene.context = context
    assert trial.main(["m.gguf"]) == 1
    assert said(capsys)[-1] == f"m.gguf is for a context of {context} tokens"
    assert scene.computed == []


def test_a_fault_of_the_program_is_not_said_of_the_file(scene: Scene) -> None:
    scene.faults = {"m.gguf": KeyError("a")}
    with pytest.raises(KeyError):
        trial.main(["m.gguf"])


def test_the_process_writes_no_core_and_is_the_first_to_go() -> None:
    source = (
        "import resource\n"
        "from friendli_endpoint.engine.llama import trial\n"
        "trial._spare_the_machine()\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), open('/proc/self/oom_score_adj').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["(0,", "0)", "1000"]


def test_a_trial_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    model = GgufDraft([], [], b"").write(tmp_path / "model.gguf")
    os.mkfifo(tmp_path / "begun")
    (tmp_path / "waiting_trial.py").write_text(
        "import os, threading\n"
        "from friendli_endpoint.engine.llama import trial\n"
        "trial._end_with_parent()\n"
        f"with open({str(tmp_path / 'begun')!r}, 'w') as begun: begun.write(str(os.getpid()))\n"
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
    child = int((tmp_path / "begun").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not running(child), 20, "the trial has ended")


def running(process: int) -> bool:
    """Whether a process is there and not only waits to be collected."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
