"""The folder of blocks: its permissions, foreign files, and several writers."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from friendli_endpoint.engine.core.disk import folder as folder_module
from friendli_endpoint.engine.core.disk.folder import BlockFolder, LockedError
from friendli_endpoint.generation import StartError
from tests.engine.core.disk.blocks import SIZE, expected, files, found, opened, prefix_of, store

NUM_WRITERS, NUM_PREFIXES, NUM_KEPT = 4, 12, 7


def test_a_folder_that_others_can_access_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "prefixes").mkdir()
    (tmp_path / "prefixes").chmod(0o750)
    with pytest.raises(StartError, match=f"^--prefix-cache: .*chmod 700 {tmp_path}/prefixes"):
        BlockFolder(tmp_path, SIZE)
    (tmp_path / "prefixes").chmod(0o700)
    BlockFolder(tmp_path, SIZE)


def test_a_folder_of_another_user_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    BlockFolder(tmp_path, SIZE)
    monkeypatch.setattr(f"{folder_module.__name__}.os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StartError, match="other users"):
        BlockFolder(tmp_path, SIZE)


def test_a_folder_that_cannot_be_made_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"^--prefix-cache: cannot create"):
        BlockFolder(tmp_path / "file", SIZE)


def test_half_written_files_are_removed_and_foreign_ones_are_kept(tmp_path: Path) -> None:
    store(opened(tmp_path), prefix_of(1))
    (path,) = files(tmp_path)
    half = path.with_suffix(".part")
    half.write_bytes(path.read_bytes()[:99])
    foreign = [path.parent / name for name in ("notes.kv", "notes.part", f"{'0' * 64}.txt")]
    for stranger in foreign:
        stranger.write_bytes(bytes(10 * SIZE))
    assert found(opened(tmp_path), 1) == expected([1])
    assert half.exists(), "another engine may be writing it"
    store(opened(tmp_path, max_bytes=2 * SIZE), prefix_of(2))
    assert not half.exists()
    assert all(stranger.stat().st_size == 10 * SIZE for stranger in foreign)
    assert len(files(tmp_path)) == 2 + 1, "foreign files do not count"


def test_a_half_written_file_is_no_block(tmp_path: Path) -> None:
    store(opened(tmp_path), prefix_of(1))
    (path,) = files(tmp_path)
    path.rename(path.with_suffix(".part"))
    assert found(opened(tmp_path), 1) == []


def test_only_one_writer_has_the_lock(tmp_path: Path) -> None:
    first, second = BlockFolder(tmp_path, SIZE), BlockFolder(tmp_path, SIZE)
    with first.writer(), pytest.raises(LockedError), second.writer():
        pass
    with second.writer():
        pass


def write_and_read(folder: Path, number: int) -> int:
    """Stores prefixes and reads those of all writers; returns how many blocks were found."""
    count = 0
    for step in range(NUM_PREFIXES):
        subject = opened(folder, max_bytes=NUM_KEPT * SIZE)
        while not store(subject, prefix_of(step % 3, number, step)):
            pass
        for writer in range(NUM_WRITERS):
            count += len(found(subject, step % 3, writer, step))
    return count


def test_processes_share_a_folder(tmp_path: Path) -> None:
    with ProcessPoolExecutor(NUM_WRITERS, get_context("spawn")) as pool:
        counts = list(
            pool.map(write_and_read, [tmp_path] * NUM_WRITERS, range(NUM_WRITERS), timeout=60)
        )
    assert all(counts), "every process finds blocks"
    assert 0 < len(files(tmp_path)) <= NUM_KEPT
    names = {path.suffix for path in (tmp_path / "prefixes").iterdir()}
    assert names == {".kv", ""}, "and nothing is left but blocks and the lock"
