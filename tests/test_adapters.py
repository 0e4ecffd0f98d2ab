"""Adapters loaded at runtime: paths inside the folder only, and a maximum number."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from friendli_endpoint.adapters import AdapterLoader
from friendli_endpoint.generation import Engine, ModelCard, RequestError
from tests.http.scripted import BOUND, CARD


class AdapterEngine:
    """An engine that loads adapters when a test lets it.

    Attributes:
        adapters: Routes of the loaded adapters.
        loaded: Route and path of each adapter, in the order of loading.
        go_on: Loading waits until this is set.
        fault: Makes the error that loading raises, or None.
    """

    def __init__(self, *adapters: str) -> None:
        self.adapters = list(adapters)
        self.loaded: list[tuple[str, Path]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fault: Callable[[Path], RequestError] | None = None

    @property
    def card(self) -> ModelCard:
        return replace(CARD, adapters=tuple(self.adapters))

    async def load_adapter(self, route: str, path: Path) -> None:
        await self.go_on.wait()
        if self.fault is not None:
            raise self.fault(path)
        self.loaded.append((route, path))
        if route not in self.adapters:
            self.adapters.append(route)


@pytest.fixture
def engine() -> AdapterEngine:
    return AdapterEngine()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Creates a folder of adapters, and next to it a folder from which none may be loaded."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lora.gguf").touch()
    folder = tmp_path / "adapters"
    folder.mkdir()
    return folder


async def load(
    engine: AdapterEngine, loader: AdapterLoader, name: str, route: str = "route"
) -> None:
    await loader.load(cast(Engine, engine), route, name)


def error_of(engine: AdapterEngine, folder: Path | None, name: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        asyncio.run(load(engine, AdapterLoader(folder, 9), name))
    return caught.value


# ── paths ────────────────────────────────────────────────────────────────────────────────────


def test_an_adapter_is_loaded_from_the_folder(engine: AdapterEngine, folder: Path) -> None:
    for name in ("a.gguf", "team/b.gguf", "team/../c.gguf"):
        asyncio.run(load(engine, AdapterLoader(folder, 9), name))
    names = ("a.gguf", "team/b.gguf", "c.gguf")
    assert engine.loaded == [("route", folder / name) for name in names]


def test_without_a_folder_no_adapter_is_loaded(engine: AdapterEngine) -> None:
    found = error_of(engine, None, "a.gguf")
    assert (found.status, found.code) == (403, "not_allowed")
    assert "--adapter-dir" in found.message
    assert engine.loaded == []


@pytest.mark.parametrize(
    "name",
    [
        "../other/lora.gguf",
        "{outside}/lora.gguf",
        "link/lora.gguf",
        "..\0/other/lora.gguf",
        "team/../../other/lora.gguf",
        "../adapters2/lora.gguf",
    ],
)
def test_a_path_out_of_the_folder_is_rejected(
    engine: AdapterEngine, folder: Path, name: str
) -> None:
    outside = folder.parent / "other"
    (folder / "link").symlink_to(outside)
    found = error_of(engine, folder, name.format(outside=outside))
    assert (found.status, found.param, found.code) == (400, "file", "not_allowed")
    assert str(folder.parent) not in found.message
    assert engine.loaded == []


def loop_of_links(folder: Path) -> None:
    folder.joinpath("a").symlink_to(folder / "b")
    folder.joinpath("b").symlink_to(folder / "a")
    folder.joinpath("self").symlink_to("self")


@pytest.mark.parametrize("name", ["a", "self", "a/lora.gguf", "team/../self/../a"])
def test_a_loop_of_links_is_a_400(engine: AdapterEngine, folder: Path, name: str) -> None:
    loop_of_links(folder)
    # From Python 3.13 on, a loop is not found when its path is resolved, but when it is opened.
    engine.fault = lambda path: RequestError(
        f"cannot read {path}: a loop", param="file", code="adapter_refused"
    )
    found = error_of(engine, folder, name)
    assert (found.status, found.param, found.code) == (400, "file", "adapter_refused")
    assert found.message.startswith(f"cannot read {name}")
    assert engine.loaded == []


@pytest.mark.parametrize("name", ["lora.gguf", "/lora.gguf"])
def test_a_folder_that_is_a_loop_of_links_is_a_400(
    engine: AdapterEngine, folder: Path, name: str
) -> None:
    loop_of_links(folder)
    engine.fault = lambda path: RequestError(f"cannot read {path}", param="file")
    found = error_of(engine, folder / "a", name)
    assert (found.status, found.param) == (400, "file")
    assert engine.loaded == []


def test_an_error_of_the_engine_has_the_files_name_without_its_folder(
    engine: AdapterEngine, folder: Path
) -> None:
    engine.fault = lambda path: RequestError(
        f"{path} is not an adapter", param="file", status=422, code="odd", retry_after=2
    )
    found = error_of(engine, folder, "a.gguf")
    fields = (found.message, found.param, found.status, found.code, found.retry_after)
    assert fields == ("a.gguf is not an adapter", "file", 422, "odd", 2)


# ── their number ─────────────────────────────────────────────────────────────────────────────


def scenario(run: Callable[[], Any]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(BOUND):
            await run()

    asyncio.run(bounded())


def outcomes(results: Sequence[BaseException | None]) -> list[int]:
    """Returns the statuses of loads: 201, or that of the error."""
    statuses = []
    for result in results:
        assert result is None or isinstance(result, RequestError)
        statuses.append(201 if result is None else result.status)
    return statuses


def test_concurrent_loads_count_together(engine: AdapterEngine, folder: Path) -> None:
    engine.adapters = ["at start"]
    loader = AdapterLoader(folder, 3)

    async def run() -> None:
        engine.go_on.clear()
        routes = ["a", "b", "c", "a", "at start", "d"]
        loads = [
            asyncio.ensure_future(load(engine, loader, f"{number}.gguf", route))
            for number, route in enumerate(routes)
        ]
        await asyncio.wait(loads, return_when=asyncio.FIRST_COMPLETED)
        engine.go_on.set()
        results = await asyncio.gather(*loads, return_exceptions=True)
        assert outcomes(results) == [201, 201, 409, 201, 201, 409]

    scenario(run)
    assert sorted(engine.adapters) == ["a", "at start", "b"]


def test_an_adapter_beyond_the_maximum_is_a_409_that_names_the_limit(
    engine: AdapterEngine, folder: Path
) -> None:
    engine.adapters = ["a"]
    with pytest.raises(RequestError, match="--max-adapters allows 1 ") as caught:
        asyncio.run(load(engine, AdapterLoader(folder, 1), "b.gguf", "b"))
    assert (caught.value.status, caught.value.param) == (409, "route")
    assert caught.value.code == "too_many_adapters"


@pytest.mark.parametrize("max_adapters", [0, 1])
def test_a_failed_load_and_a_removed_adapter_leave_their_places(
    engine: AdapterEngine, folder: Path, max_adapters: int
) -> None:
    loader = AdapterLoader(folder, max_adapters)

    async def run() -> None:
        engine.fault = lambda _path: RequestError("not an adapter")
        failed = await asyncio.gather(load(engine, loader, "x", "a"), return_exceptions=True)
        engine.fault = None
        loaded = await asyncio.gather(load(engine, loader, "x", "b"), return_exceptions=True)
        assert outcomes([*failed, *loaded]) == ([400, 201] if max_adapters else [409, 409])
        engine.adapters.clear()
        if max_adapters:
            await load(engine, loader, "x", "c")

    scenario(run)


@pytest.mark.parametrize("fails", [False, True])
def test_a_load_whose_caller_is_cancelled_counts_until_it_ends(
    engine: AdapterEngine, folder: Path, fails: bool
) -> None:
    loader = AdapterLoader(folder, 1)
    if fails:
        engine.fault = lambda _path: RequestError("not an adapter")

    async def run() -> None:
        engine.go_on.clear()
        cancelled = asyncio.ensure_future(load(engine, loader, "x", "a"))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        with pytest.raises(RequestError, match="--max-adapters"):
            await load(engine, loader, "x", "b")
        engine.go_on.set()
        while asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.sleep(0)
        engine.fault = None
        rejected = await asyncio.gather(load(engine, loader, "x", "b"), return_exceptions=True)
        assert outcomes(rejected) == [201 if fails else 409]

    scenario(run)
    assert engine.adapters == ["b" if fails else "a"]
