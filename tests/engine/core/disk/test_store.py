"""The prefix cache on disk finds what was stored, intact, and fails for no reason."""

import errno
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import BLOCK_TOKENS, BlockFormat
from friendli_endpoint.engine.core.disk import folder as folder_module
from friendli_endpoint.engine.core.disk.folder import BlockFolder
from friendli_endpoint.engine.core.disk.store import DiskCache, Prefix, open_store
from tests.engine.core.disk.blocks import (
    FORMAT,
    SIZE,
    Clock,
    expected,
    files,
    found,
    opened,
    prefix_of,
    store,
    tokens_of,
)

PATHS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), max_size=6)


def never_saved() -> object:
    raise AssertionError("a stored prefix is saved again")


def test_a_stored_prefix_is_found_by_another_store(tmp_path: Path) -> None:
    assert store(opened(tmp_path), prefix_of(1, 2, 3, extra=9)) == 1
    assert found(opened(tmp_path), 1, 2, 3) == expected([1, 2, 3])
    assert found(opened(tmp_path), 1, 2, 4, 3) == expected([1, 2])
    assert found(opened(tmp_path), 2, 1) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(stored=PATHS, asked=st.lists(st.integers(0, 2), max_size=5))
def test_the_longest_stored_prefix_is_found(
    tmp_path_factory: pytest.TempPathFactory, stored: list[list[int]], asked: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("prefixes")
    store(opened(folder), *(prefix_of(*path) for path in stored))
    lengths = [
        length
        for path in stored
        for length in range(1, 1 + min(len(path), len(asked)))
        if path[:length] == asked[:length]
    ]
    assert found(opened(folder), *asked) == expected(asked[: max(lengths, default=0)])
    assert len(files(folder)) == len(
        {tuple(path[:length]) for path in stored for length in range(1, len(path) + 1)}
    )


@pytest.mark.parametrize(
    ("adapter", "options"),
    [
        (b"an adapter", {}),
        (b"", {"identity": b"another model"}),
        (b"", {"block_format": BlockFormat(FORMAT.num_bytes, b"another layout")}),
    ],
    ids=["adapter", "model", "layout"],
)
def test_blocks_that_were_computed_otherwise_are_not_found(
    tmp_path: Path, adapter: bytes, options: dict[str, object]
) -> None:
    store(opened(tmp_path), prefix_of(1, 2))
    assert found(opened(tmp_path, **options), 1, 2, adapter=adapter) == []  # type: ignore[arg-type]


def test_prefixes_of_adapters_are_found_by_their_content(tmp_path: Path) -> None:
    store(opened(tmp_path), prefix_of(1, adapter=b"one"), prefix_of(1, adapter=b"two"))
    assert len(files(tmp_path)) == 2
    assert found(opened(tmp_path), 1, adapter=b"two") == expected([1])


def test_a_prefix_is_read_only_if_most_of_it_is_not_in_memory(tmp_path: Path) -> None:
    subject = opened(tmp_path)
    store(subject, prefix_of(*range(8)))
    assert len(found(subject, *range(8), num_cached=7 * BLOCK_TOKENS)) == 8
    assert found(subject, *range(8), num_cached=8 * BLOCK_TOKENS - 20) == []
    assert found(subject, *range(8), num_cached=8 * BLOCK_TOKENS + 4) == []


def test_tokens_and_bytes_are_counted_once(tmp_path: Path) -> None:
    subject = opened(tmp_path)
    store(subject, prefix_of(1, 2))
    found(subject, 1, 2, 3)
    assert subject.take_counts() == (2 * BLOCK_TOKENS, 2 * SIZE, 2 * SIZE)
    store(subject, prefix_of(1, 2))
    assert subject.take_counts() == (0, 0, 0)


def test_a_stored_prefix_is_not_saved_again(tmp_path: Path) -> None:
    store(opened(tmp_path), prefix_of(1, 2))
    again = Prefix(tokens_of(1, 2, extra=3), b"", never_saved)  # type: ignore[arg-type]
    assert store(opened(tmp_path), again) == 1


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _content: b"",
    "first byte": lambda content: b"\0" + content[1:],
    "other version": lambda content: content[:7] + b"9" + content[8:],
    "parent": lambda content: content[:20] + bytes(4) + content[24:],
    "tokens": lambda content: content[:60] + bytes(4) + content[64:],
    "payload": lambda content: content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
    "checksum": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "one byte less": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "one byte more": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_block_is_removed_and_ends_the_prefix(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    store(opened(tmp_path), prefix_of(1, 2, 3))
    path = files(tmp_path)[1]
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    subject = opened(tmp_path)
    assert found(subject, 1, 2, 3) == expected([1])
    assert found(subject, 1, 2, 3) == expected([1])
    (line,) = caplog.messages
    assert str(path) in line and "removed" in line
    assert not path.exists()
    store(subject, prefix_of(1, 2, 3))
    assert found(subject, 1, 2, 3) == expected([1, 2, 3])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, SIZE - 1), bit=st.integers(0, 7))
def test_every_changed_bit_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("prefixes")
    store(opened(folder), prefix_of(1))
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)
    assert found(opened(folder), 1) == []


def test_a_block_under_the_name_of_another_is_removed(tmp_path: Path) -> None:
    store(opened(tmp_path), prefix_of(1), prefix_of(2))
    first, second = files(tmp_path)
    second.write_bytes(first.read_bytes())
    assert found(opened(tmp_path), 2) == []
    assert files(tmp_path) == [first]


def test_what_is_no_regular_file_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store(opened(tmp_path), prefix_of(1))
    (path,) = files(tmp_path)
    path.unlink()
    path.mkdir()
    subject = opened(tmp_path)
    for _ in range(2):
        assert found(subject, 1) == []
    assert len(caplog.messages) == 1 and path.is_dir()
    assert store(subject, prefix_of(1)) == 1


def fail_with(number: int) -> Callable[..., int]:
    def fail(*_given: object, **_named: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_what_cannot_be_written_is_logged_once(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    subject = opened(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(f"{folder_module.__name__}.os.open", fail_with(number))
        assert store(subject, prefix_of(1), prefix_of(2)) == 2
        assert store(subject, prefix_of(3)) == 1
    (line,) = caplog.messages
    assert os.strerror(number) in line
    assert store(subject, prefix_of(3)) == 1
    assert found(subject, 3) == expected([3])


def test_a_full_disk_leaves_no_half_written_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = opened(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(
            "friendli_endpoint.engine.core.disk.store.write_block", fail_with(errno.ENOSPC)
        )
        assert store(subject, prefix_of(1)) == 1
    assert [path.name for path in (tmp_path / "prefixes").iterdir()] == ["lock"]
    assert len(caplog.messages) == 1


def test_an_interruption_stops_between_two_blocks(tmp_path: Path) -> None:
    subject = opened(tmp_path)
    answers = iter([False, False, False, False, True])
    assert subject.store([prefix_of(1, 2, 3)], lambda: next(answers)) == 0
    assert found(subject, 1, 2, 3) == expected([1, 2])
    assert subject.store([prefix_of(1, 2, 3)], lambda: True) == 0
    assert store(subject, prefix_of(1, 2, 3)) == 1
    assert found(subject, 1, 2, 3) == expected([1, 2, 3])


def test_an_interrupted_store_counts_the_prefixes_that_are_complete(tmp_path: Path) -> None:
    subject = opened(tmp_path)
    answers = iter([False] * 4 + [False] * 4 + [True])
    prefixes = [prefix_of(1, 2), prefix_of(3), prefix_of(4, 5), prefix_of(6)]
    num_stored = subject.store(prefixes, lambda: next(answers))
    assert 0 < num_stored < 4
    for prefix in prefixes[:num_stored]:
        stored = subject.find(np.append(prefix.tokens, 7).astype(np.int32), b"", 0)
        assert stored is not None and stored.num_tokens == prefix.tokens.size


def test_nothing_is_written_while_another_engine_writes(tmp_path: Path) -> None:
    with BlockFolder(tmp_path, SIZE).writer():
        assert store(opened(tmp_path), prefix_of(1)) == 0
        assert files(tmp_path) == []
    assert store(opened(tmp_path), prefix_of(1)) == 1


def test_the_least_recently_used_blocks_are_deleted_beyond_the_size(tmp_path: Path) -> None:
    subject = opened(tmp_path, max_bytes=4 * SIZE, clock=Clock())
    store(subject, prefix_of(1, 2))
    store(subject, prefix_of(3, 4))
    assert len(found(subject, 1, 2)) == 2, "which are now used after the others"
    store(subject, prefix_of(5))
    assert len(files(tmp_path)) == 4
    assert found(subject, 3, 4) == expected([3]), "the end of a prefix is deleted first"
    assert found(subject, 1, 2) == expected([1, 2])
    assert found(subject, 5) == expected([5])


def test_prefixes_in_memory_stay_recently_used(tmp_path: Path) -> None:
    subject = opened(tmp_path, max_bytes=3 * SIZE, clock=Clock())
    for seed in (1, 2, 3):
        store(subject, prefix_of(seed))
    store(subject, prefix_of(1))
    store(subject, prefix_of(4))
    assert [bool(found(subject, seed)) for seed in (1, 2, 3, 4)] == [True, False, True, True]


def test_older_prefixes_do_not_displace_newer_ones(tmp_path: Path) -> None:
    subject = opened(tmp_path, max_bytes=3 * SIZE, clock=Clock())
    assert store(subject, prefix_of(1, 2), prefix_of(3, 4), prefix_of(5)) == 3
    assert found(subject, 1, 2) == expected([1, 2])
    assert found(subject, 3, 4) == expected([3])
    assert found(subject, 5) == []


def test_a_lowered_size_holds_from_the_next_writing(tmp_path: Path) -> None:
    store(opened(tmp_path), prefix_of(1, 2, 3))
    subject = opened(tmp_path, max_bytes=2 * SIZE)
    store(subject, prefix_of(4))
    assert len(files(tmp_path)) == 2


def test_a_size_below_one_block_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    subject = opened(tmp_path, max_bytes=SIZE - 1)
    assert "--prefix-cache-size" in caplog.text
    assert store(subject, prefix_of(1)) == 1
    assert files(tmp_path) == []


def test_files_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    store(opened(tmp_path / "new" / "folder"), prefix_of(1))
    folder = tmp_path / "new" / "folder" / "prefixes"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_there_is_no_store_without_a_folder_or_without_blocks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert open_store(None, FORMAT) is None
    assert caplog.messages == []
    assert open_store(DiskCache(BlockFolder(tmp_path, SIZE), b""), None) is None
    assert len(caplog.messages) == 1
