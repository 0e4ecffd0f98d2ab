"""Every file that the endpoint reads is broken in every form.

Each cell ends in bounded time: with an answer, with a 4xx or 503, or with exit code 1 or 2 and one
sentence on standard error; never with a traceback or by a signal.
"""

import itertools
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trustme

from friendli_endpoint.engine.llama.gguf.repack import RepackError, repack
from friendli_endpoint.http.middleware.tokens import TokenFile
from tests.contract.live import Live
from tests.contract.served import served
from tests.faults.files import FORMS
from tests.faults.launcher import Ended, Launcher, launcher
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

pytestmark = pytest.mark.model

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
FLAGS = ("--threads", "1", "--max-sequences", "2", "--context", "256")
SERVE = ("serve", "--port", "0", "--log-level", "error", *FLAGS)
TOKEN = "a-token-of-the-file"


@pytest.fixture(scope="module")
def processes() -> Iterator[Launcher]:
    with launcher() as running:
        yield running


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A valid file of each kind."""
    folder = tmp_path_factory.mktemp("valid")
    model = write_byte_pairs(folder / "model.gguf", LLAMA)
    (adapter,) = write_loras(folder, model, range(1))
    certificate = trustme.CA().issue_cert("127.0.0.1")
    paths = {
        "model": model,
        "adapter": adapter,
        "template": folder / "chat.jinja",
        "tokens": folder / "tokens",
        "config": folder / "endpoint.toml",
        "certificate": folder / "cert.pem",
        "key": folder / "key.pem",
    }
    paths["template"].write_text(TEMPLATE)
    paths["tokens"].write_text(f"{TOKEN}\n")
    paths["config"].write_text("max_queue = 7\n")
    paths["certificate"].write_bytes(b"".join(p.bytes() for p in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(paths["key"]))
    return paths


def flags(kind: str, path: Path, valid: Mapping[str, Path]) -> tuple[str, ...]:
    """Returns the flags that name the file of a kind."""
    model = ("--model", str(valid["model"]))
    named = {
        "model": ("--model", str(path)),
        "adapter": (*model, "--adapter", f"poet={path}"),
        "template": (*model, "--chat-template", str(path)),
        "tokens": (*model, "--token-file", str(path)),
        "config": (*model, "--config", str(path)),
        "certificate": (*model, "--tls-cert", str(path), "--tls-key", str(valid["key"])),
        "key": (*model, "--tls-cert", str(valid["certificate"]), "--tls-key", str(path)),
    }
    return named[kind]


KINDS = ("model", "adapter", "template", "tokens", "config", "certificate", "key")


def check(ended: Ended) -> None:
    """Checks that a command ended as the rule says."""
    assert ended.code is not None, f"hung: {ended.errors}"
    assert "Traceback" not in ended.errors, ended.errors
    if ended.status is not None:
        assert ended.code == 0 and (ended.status == 200 or 400 <= ended.status < 500), ended
        return
    assert ended.code in (1, 2), ended
    (sentence,) = ended.errors.splitlines()
    assert re.match(r"friendli-endpoint: .+", sentence)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_file_ends_the_command_with_a_sentence_or_is_served(
    kind: str, form: str, tmp_path: Path, valid: Mapping[str, Path], processes: Launcher
) -> None:
    original = valid[kind]
    path = FORMS[form](tmp_path / original.name, original.read_bytes())
    is_opened = kind in ("model", "adapter")
    check(processes.run(*SERVE, *flags(kind, path, valid), tried=is_opened, token=TOKEN))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the folder of adapters, which each test makes."""
    return tmp_path_factory.mktemp("folders")


@pytest.fixture(scope="module")
def serving(valid: Mapping[str, Path], folders: Path) -> Iterator[Live]:
    """An endpoint that loads adapters from a folder."""
    model, folder = str(valid["model"]), str(folders / "adapters")
    with served(*FLAGS, "--model", model, "--adapter-dir", folder) as process:
        yield Live(process.address)


def check_load(serving: Live, adapters: Path, name: str) -> None:
    """Checks that loading an adapter is refused with a reason, or that the adapter can be used."""
    body = {"route": "poet", "file": name}
    response = serving.request("POST", "/dedicated/v1/adapters", json=body)
    assert response.status_code in (201, 400), response.text
    if response.status_code == 400:
        error = response.json()["error"]
        assert error["code"] in ("adapter_refused", "not_allowed") and error["param"] == "file"
        assert str(adapters.parent) not in error["message"]
    model = "m:poet" if response.status_code == 201 else "m"
    assert serving.complete(model=model, max_tokens=1)["choices"]


@pytest.mark.parametrize("form", FORMS)
def test_a_broken_file_in_the_folder_of_adapters_is_refused(
    form: str, valid: Mapping[str, Path], folders: Path, serving: Live
) -> None:
    adapters = folders / "adapters"
    adapters.mkdir()
    try:
        path = FORMS[form](adapters / "poet.gguf", valid["adapter"].read_bytes())
        check_load(serving, adapters, str(path.relative_to(adapters)))
    finally:
        adapters.rename(folders / f"after {form}")


@pytest.mark.parametrize("form", FORMS)
def test_a_broken_folder_of_adapters_refuses_every_adapter(
    form: str, folders: Path, serving: Live
) -> None:
    adapters = folders / "adapters"
    FORMS[form](adapters, b"not a folder")
    try:
        check_load(serving, adapters, "poet.gguf")
    finally:
        if os.path.lexists(adapters):
            adapters.rename(folders / f"folder after {form}")


@pytest.fixture(scope="module")
def repacked(valid: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a repacked copy of the model."""
    folder = tmp_path_factory.mktemp("repacked")
    repack(valid["model"], folder)
    return folder


@pytest.mark.timeout(60)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".gguf", ".sha256", ""])
def test_a_broken_copy_in_the_cache_is_made_again_or_refused(
    suffix: str, form: str, tmp_path: Path, valid: Mapping[str, Path], repacked: Path
) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(repacked, folder)
    (copies,) = folder.iterdir()
    broken = copies / f"model{suffix}" if suffix else copies
    content = broken.read_bytes() if suffix else b"not a folder"
    broken.rename(tmp_path / "intact")
    FORMS[form](broken, content)
    try:
        copy = repack(valid["model"], folder)
    except RepackError as error:
        assert str(error).startswith("cannot repack ") and "\n" not in str(error)
    else:
        original = repacked / copies.name / "model.gguf"
        assert copy.read_bytes() == original.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_a_token_file_that_breaks_while_serving_keeps_its_tokens(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "friendli_endpoint")
    now = itertools.count(step=10.0)
    path = tmp_path / "tokens"
    path.write_text(f"{TOKEN}\n")
    tokens = TokenFile(path, lambda: next(now))
    before = tokens.current()
    path.unlink()
    FORMS[form](path, f"{TOKEN}\n".encode())
    after = tokens.current()
    assert after == before or path.is_file()
