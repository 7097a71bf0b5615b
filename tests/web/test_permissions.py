"""The permissions table is the whole truth: every route has an entry, every entry a route, and each is enforced."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount

from refref.web.permissions import ADMIN, OWNER, PERMISSIONS, PUBLIC, VIEWER, allows

RunWeb = Callable[..., None]
OPEN_TO_ALL = {"/openapi.json"}  # Starlette routes without a dependency: they show nothing of anybody
STATIC = {"/static"}


def routes(web: Any) -> Iterator[tuple[str, str]]:
    for context in iter_route_contexts([*web.app.pages.routes, *web.app.api.routes]):
        if isinstance(context.original_route, Mount):
            assert context.path in STATIC, f"{context.path} is mounted past the permissions"
        elif isinstance(context.original_route, APIRoute):
            yield from ((method, str(context.path)) for method in context.methods or () if method != "HEAD")
        else:
            assert context.path in OPEN_TO_ALL, f"{context.path} is a plain route past the permissions"


def filled(path: str) -> str:
    return path.replace("{", "").replace("}", "")


def test_every_route_has_an_entry_and_every_entry_a_route(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        there = set(routes(web))
        assert there - PERMISSIONS.keys() == set(), "give these routes an entry in web/permissions.py"
        assert PERMISSIONS.keys() - there == set(), "these entries have no route"

    with_web(scenario)


def test_nothing_of_the_api_answers_without_a_valid_key(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        prefix = web.api_key[:16]
        for authorization in (None, "Bearer x", f"Basic {web.api_key}", f"Bearer {prefix}_{'x' * 43}", "Bearer"):
            headers = {} if authorization is None else {"Authorization": authorization}
            for method, path in PERMISSIONS:
                if path.startswith("/v1/"):
                    answer = await web.browser.request(method, filled(path), headers=headers)
                    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)
                    assert answer.headers["www-authenticate"] == "Bearer"

    with_web(scenario)


def test_a_revoked_key_ends_at_once(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        made = (await web.api.post("/v1/api_keys", json={"name": "Short"})).json()
        headers = {"Authorization": f"Bearer {made['secret']}"}
        assert (await web.browser.get("/v1/organizations/me", headers=headers)).status_code == 200
        assert (await web.api.delete(f"/v1/api_keys/{made['api_key_id']}")).json()["revoked_at"] is not None
        assert (await web.browser.get("/v1/organizations/me", headers=headers)).status_code == 401
        assert (await web.api.delete("/v1/api_keys/key_none")).json()["code"] == "unknown_api_key"

    with_web(scenario)


def test_a_viewer_may_look_but_not_change(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.user("viewer@example.com", "viewer")
        token = await web.sign_in("viewer@example.com")
        for (method, path), needed in PERMISSIONS.items():
            if path.startswith("/v1/"):
                request = {"headers": {"Authorization": f"Bearer {web.viewer_key}"}}
            else:
                request = {"data": {"csrf_token": token}} if method == "POST" else {}
            if needed in (ADMIN, OWNER):
                answer = await web.browser.request(method, filled(path), **request)
                assert answer.status_code == 403, (method, path)
            elif needed == VIEWER and method == "GET":
                answer = await web.browser.request(method, filled(path), **request)
                assert answer.status_code not in (401, 403, 500), (method, path, answer.text[:300])

    with_web(scenario)


def test_every_page_leads_to_sign_in_and_back(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        for (method, path), needed in PERMISSIONS.items():
            if path.startswith("/v1/") or needed == PUBLIC:
                continue
            answer = await web.browser.request(method, filled(path))
            assert answer.status_code == 303, (method, path)
            back = f"/sign-in?next={filled(path)}" if method == "GET" and path != "/" else "/sign-in"
            assert answer.headers["location"] == back

    with_web(scenario)


@pytest.mark.parametrize("role", [VIEWER, ADMIN, OWNER])
def test_roles_include_the_lesser_ones(role: str) -> None:
    order = [VIEWER, ADMIN, OWNER]
    assert [allows(role, needed) for needed in order] == [order.index(needed) <= order.index(role) for needed in order]
