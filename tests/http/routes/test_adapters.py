"""The routes that list, load and unload adapters."""

import asyncio
import json
from typing import Any

import pytest

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.middleware.tokens import parse_tokens
from tests.http.scripted import BOUND, Call, ScriptedService, check_error, scripted_app

ADAPTERS = "/dedicated/v1/adapters"


def ask(service: ScriptedService, method: str, path: str = ADAPTERS, body: Any = None) -> Call:
    async def asking() -> Call:
        chunks = [json.dumps(body).encode()] if body is not None else [b""]
        async with Call(scripted_app(service, open_admin=True), method, path, body=chunks) as call:
            return await call.done()

    return asyncio.run(asyncio.wait_for(asking(), BOUND))


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService()


def test_an_adapter_is_loaded_listed_and_unloaded(service: ScriptedService) -> None:
    loaded = ask(service, "POST", body={"route": "team/one", "file": "one.gguf"})
    assert (loaded.status, loaded.json) == (201, {"id": "team/one", "object": "adapter"})
    assert service.loaded_adapters == {"team/one": "one.gguf"}
    assert ask(service, "GET").json == {"object": "list", "data": [loaded.json]}
    unloaded = ask(service, "DELETE", f"{ADAPTERS}/team/one")
    assert (unloaded.status, unloaded.json["deleted"]) == (200, True)
    assert service.loaded_adapters == {}


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"file": "a"}, 422, "route"),
        ({"route": "a"}, 422, "file"),
        ({"route": 1, "file": "a"}, 422, "route"),
        ({"route": "a b", "file": "a"}, 400, "route"),
        ({"route": "", "file": "a"}, 400, "route"),
        ({"route": "a" * 129, "file": "a"}, 400, "route"),
        ({"route": "a", "file": "a", "scale": 1}, 400, "scale"),
    ],
)
def test_an_invalid_body_is_rejected(
    service: ScriptedService, body: dict[str, Any], status: int, param: str
) -> None:
    rejected = ask(service, "POST", body=body)
    assert (rejected.status, rejected.json["error"]["param"]) == (status, param)
    assert service.loaded_adapters == {}


def test_an_error_of_the_service_is_returned(service: ScriptedService) -> None:
    service.error = RequestError("no adapter for this model", param="file")
    failed = ask(service, "POST", body={"route": "a", "file": "b"})
    assert (failed.status, failed.json["error"]["message"]) == (400, "no adapter for this model")
    assert ask(service, "DELETE", f"{ADAPTERS}/a").status == 404


def test_listing_adapters_gets_503_before_the_model_is_loaded() -> None:
    assert ask(ScriptedService(loaded=False), "GET").status == 503


# ── who may ──────────────────────────────────────────────────────────────────────────────────

USER, ADMIN = "user-token", "admin-token"
CHANGES = [("POST", ADAPTERS), ("DELETE", f"{ADAPTERS}/a")]


def status_of(
    method: str,
    path: str,
    token: str | None,
    *,
    has_users: bool,
    has_admins: bool,
    open_admin: bool = False,
    client: tuple[str, int] | None = ("127.0.0.1", 1),
) -> int:
    """Returns the status of a call that is valid if its caller may make it."""
    service = ScriptedService()
    service.loaded_adapters["a"] = "a.gguf"
    admins = parse_tokens([ADMIN], "here")
    users = parse_tokens([USER], "here") | (admins if has_admins else frozenset())
    app = scripted_app(
        service,
        tokens=(lambda: users) if has_users else None,
        admin_tokens=(lambda: admins) if has_admins else None,
        open_admin=open_admin,
    )
    headers = [("authorization", f"Bearer {token}")] if token is not None else []
    call = Call(
        app, method, path, headers=headers, body=[b'{"route": "b", "file": "b"}'], client=client
    )

    async def calling() -> None:
        async with call:
            await call.done()

    asyncio.run(asyncio.wait_for(calling(), BOUND))
    is_allowed = call.status < 300
    assert (service.loaded_adapters != {"a": "a.gguf"}) == (is_allowed and method != "GET")
    if not is_allowed:
        assert call.chunks_read == 0, "the body of a rejected request was read"
        error = check_error(call, call.status)
        assert error["code"] == ("not_allowed" if call.status == 403 else "unauthorized")
        assert (call.header("www-authenticate") == "Bearer") == (call.status == 401)
    return call.status


@pytest.mark.parametrize(
    ("token", "has_users", "expected"),
    [
        (ADMIN, True, 200),
        (ADMIN, False, 200),
        (USER, True, 403),
        (USER, False, 401),
        ("wrong", True, 401),
        ("wrong", False, 401),
        (None, True, 401),
        (None, False, 401),
    ],
)
@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize("open_admin", [False, True])
def test_with_admin_tokens_only_they_change_adapters(
    method: str, path: str, token: str | None, has_users: bool, expected: int, open_admin: bool
) -> None:
    status = status_of(
        method, path, token, has_users=has_users, has_admins=True, open_admin=open_admin
    )
    assert status == (201 if (expected, method) == (200, "POST") else expected)


@pytest.mark.parametrize(
    ("open_admin", "client", "is_allowed"),
    [
        (True, ("127.0.0.1", 1), True),
        (True, ("127.8.8.8", 1), True),
        (True, ("::1", 1), True),
        (True, ("::ffff:127.0.0.1", 1), True),
        (True, ("10.0.0.1", 1), False),
        (True, ("::ffff:10.0.0.1", 1), False),
        (True, ("testclient", 1), False),
        (True, None, False),
        (False, ("127.0.0.1", 1), False),
    ],
)
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_without_admin_tokens_only_a_local_caller_changes_adapters_and_only_in_development(
    method: str,
    path: str,
    open_admin: bool,
    client: tuple[str, int] | None,
    is_allowed: bool,
) -> None:
    status = status_of(
        method, path, None, has_users=False, has_admins=False, open_admin=open_admin, client=client
    )
    assert (status < 300, status == 403) == (is_allowed, not is_allowed)


def test_listing_adapters_needs_no_admin_token() -> None:
    for has_admins in (False, True):
        for has_users in (False, True):
            status = status_of("GET", ADAPTERS, USER, has_users=has_users, has_admins=has_admins)
            assert status == 200


def test_the_document_describes_the_responses_of_both_calls() -> None:
    document = scripted_app(ScriptedService()).openapi()
    load = document["paths"][ADAPTERS]["post"]["responses"]
    unload = document["paths"][f"{ADAPTERS}/{{route}}"]["delete"]["responses"]
    assert {"201", "400", "401", "403", "409"} <= set(load)
    assert {"200", "401", "403", "404"} <= set(unload)
