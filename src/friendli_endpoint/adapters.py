"""Loads adapters from a folder at runtime, up to a maximum number."""

import asyncio
from pathlib import Path

from friendli_endpoint.generation import Engine, RequestError

__all__ = ["AdapterLoader"]


class AdapterLoader:
    """Loads adapters of a folder into an engine; used on one event loop.

    Args:
        folder: The folder; None if no adapters may be loaded.
        max_adapters: Maximum number of adapters that are loaded or being loaded.
    """

    def __init__(self, folder: Path | None, max_adapters: int) -> None:
        self._folder = folder
        self._max_adapters = max_adapters
        self._loading: list[str] = []
        """Routes of the adapters that are being loaded; a route may occur several times."""

    async def load(self, engine: Engine, route: str, name: str) -> None:
        """Loads an adapter, which replaces a loaded adapter of the same route.

        If the caller is cancelled, loading continues, and the adapter counts all the time.

        Args:
            engine: The engine.
            route: Route of the adapter.
            name: Path of the file inside the folder.

        Raises:
            RequestError: The folder or file is missing, it is not an adapter for this model, or
                there are too many adapters (409).
        """
        path = _resolve_inside(self._folder, name)
        self._check_number({*engine.card.adapters, *self._loading}, route)
        self._loading.append(route)
        loading = asyncio.ensure_future(engine.load_adapter(route, path))
        loading.add_done_callback(lambda ended: self._end(route, ended))
        try:
            await asyncio.shield(loading)
        except RequestError as error:
            raise RequestError(
                error.message.replace(str(path), name),
                param=error.param,
                status=error.status,
                code=error.code,
                retry_after=error.retry_after,
            ) from error

    def _check_number(self, routes: set[str], route: str) -> None:
        """Checks that an adapter may be added to those that are loaded or being loaded."""
        if route not in routes and len(routes) >= self._max_adapters:
            raise RequestError(
                f"--max-adapters allows {self._max_adapters} adapters at a time: remove one first, "
                "or use the route of the one to replace",
                param="route",
                status=409,
                code="too_many_adapters",
            )

    def _end(self, route: str, ended: asyncio.Future[None]) -> None:
        self._loading.remove(route)
        if not ended.cancelled():
            ended.exception()  # asyncio logs an error that nobody retrieves


def _resolve_inside(folder: Path | None, name: str) -> Path:
    """Returns the path of a file in a folder.

    Raises:
        RequestError: There is no folder, or the name leads out of it.
    """
    if folder is None:
        raise RequestError(
            "adapters cannot be loaded: the endpoint was started without --adapter-dir",
            status=403,
            code="not_allowed",
        )
    try:
        path = (folder / name.replace("\0", "")).resolve()
        is_inside = path.is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # a loop of symbolic links
        raise RequestError(f"cannot read {name}", param="file", code="adapter_refused") from error
    if not is_inside:
        raise RequestError(
            "file must be inside the adapters' folder", param="file", code="not_allowed"
        )
    return path
