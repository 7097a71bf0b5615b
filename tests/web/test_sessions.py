"""Signing in and out, the cookie, and forms that come from elsewhere."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from refref.core.refusals import Refused
from refref.web.limits import AttemptLimiter
from refref.web.sessions import safe_next

RunWeb = Callable[..., None]
FORM = {"name": "A key", "role": "viewer"}


def test_the_cookie_is_for_this_site_and_no_script(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        answer = await web.browser.post("/sign-in", data={"email": web.email.upper(), "password": web.password})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("refref_session=")
        assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=1209600"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        token = web.browser.cookies["refref_session"]
        async with web.database.reference() as tx:
            rows = await tx.fetch("select token_hash::text || csrf_token as kept from web_session")
        assert len(rows) == 1
        assert token not in rows[0]["kept"]

    with_web(scenario)


def test_with_https_the_cookie_is_secure_and_bound_to_the_host(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        answer = await web.browser.post("/sign-in", data={"email": web.email, "password": web.password})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-refref_session=")
        assert {"HttpOnly", "Secure", "Path=/"} <= set(cookie.split("; "))
        assert answer.headers["strict-transport-security"].startswith("max-age=")

    with_web(scenario, base_url="https://refref.test")


def test_signing_in_again_ends_the_session_before_and_signing_out_the_last(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.sign_in()
        first = web.browser.cookies["refref_session"]
        token = await web.sign_in()
        second = web.browser.cookies["refref_session"]
        assert first != second
        assert not await is_signed_in(web, first)
        assert await is_signed_in(web, second)
        web.browser.cookies.set("refref_session", second)
        out = await web.browser.post("/sign-out", data={"csrf_token": token})
        assert out.headers["location"] == "/sign-in"
        assert 'refref_session=""' in out.headers["set-cookie"]
        assert not await is_signed_in(web, second)

    with_web(scenario)


def test_an_ended_session_is_none(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.sign_in()
        token = web.browser.cookies["refref_session"]
        assert await is_signed_in(web, token)
        async with web.database.reference() as tx:
            await tx.execute("update web_session set expires_at = now()")
        assert not await is_signed_in(web, token)

    with_web(scenario)


async def is_signed_in(web: Any, token: str) -> bool:
    web.browser.cookies.clear()
    answer = await web.browser.get("/programs", headers={"Cookie": f"refref_session={token}"})
    return not answer.headers.get("location", "").startswith("/sign-in")


def test_a_form_needs_the_token_of_its_session(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        token = await web.sign_in()
        post = web.browser.post
        for form in ({}, {"csrf_token": ""}, {"csrf_token": "x" * 43}, {"csrf_token": token[:-1]}):
            answer = await post("/settings/api-keys", data=FORM | form)
            assert answer.status_code == 403, form
        assert (await post("/settings/api-keys", data=FORM, headers={"X-CSRF-Token": "x"})).status_code == 403
        keys = len((await web.api.get("/v1/api_keys")).json()["data"])
        assert (await post("/settings/api-keys", data=FORM | {"csrf_token": token})).status_code == 200
        assert (await post("/settings/api-keys", data=FORM, headers={"X-CSRF-Token": token})).status_code == 200
        assert len((await web.api.get("/v1/api_keys")).json()["data"]) == keys + 2

    with_web(scenario)


ORIGINS = [
    ({"Origin": "http://refref.test"}, True),
    ({}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Origin": "http://localhost:9", "Host": "localhost:9"}, True),
    ({"Origin": "https://elsewhere.example.com"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": "http://[::1"}, False),
    ({"Origin": "http://refref.test.example.com"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
]


@pytest.mark.parametrize(("headers", "is_ours"), ORIGINS)
def test_a_form_from_another_site_is_refused_even_before_sign_in(
    with_web: RunWeb, headers: dict[str, str], is_ours: bool
) -> None:
    async def scenario(web: Any) -> None:
        answer = await web.browser.post(
            "/sign-in", data={"email": web.email, "password": web.password}, headers=headers
        )
        assert answer.status_code == (303 if is_ours else 403)

    with_web(scenario)


def test_wrong_passwords_are_limited_per_address_and_account(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        async def attempt(email: str, password: str) -> int:
            answer = await web.browser.post("/sign-in", data={"email": email, "password": password})
            return int(answer.status_code)

        assert [await attempt(web.email, "wrong") for _ in range(5)] == [401] * 5
        assert await attempt(f" {web.email.upper()}", web.password) == 429
        assert await attempt("nobody@example.com", web.password) == 401

    with_web(scenario)


def test_an_unknown_address_takes_as_long_as_a_wrong_password(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        async def seconds(email: str) -> float:
            """Of this process's work, in all its threads: what others do on the machine does not count."""
            started = time.process_time()
            await web.browser.post("/sign-in", data={"email": email, "password": "wrong password"})
            return time.process_time() - started

        await seconds("nobody@example.com")  # the first one makes the decoy
        pairs = [(await seconds("nobody@example.com"), await seconds(web.email)) for _ in range(3)]  # in turns
        unknown, known = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
        assert unknown > known / 2, "an answer that comes at once tells that nobody has this address"

    with_web(scenario)


def test_the_limiter_forgets_with_time_success_and_number() -> None:
    at = 0.0
    limiter = AttemptLimiter(limit=2, window_s=60, capacity=2, clock=lambda: at)
    for _ in range(2):
        limiter.check("a")
        limiter.fail("a")
    with pytest.raises(Refused) as refused:
        limiter.check("a")
    assert refused.value.code == "too_many_attempts"
    at = 60.0
    limiter.check("a")
    for key in ("a", "a", "b", "b", "c"):
        limiter.fail(key)
    limiter.check("a")  # pushed out by b and c
    with pytest.raises(Refused):
        limiter.check("b")
    limiter.forgive("b")
    limiter.check("b")


@pytest.mark.parametrize(
    ("target", "goes_to"),
    [
        ("/rewards?cursor=a", "/rewards?cursor=a"),
        ("/", "/"),
        (None, "/"),
        ("", "/"),
        ("https://elsewhere.example.com", "/"),
        ("//elsewhere.example.com", "/"),
        ("/\\elsewhere.example.com", "/"),
        ("/a\\b", "/"),
        ("/\t/elsewhere.example.com", "/"),
        ("/\n", "/"),
        ("javascript:alert(1)", "/"),
        (" /rewards", "/"),
    ],
)
def test_after_sign_in_nobody_is_led_elsewhere(target: str | None, goes_to: str) -> None:
    assert safe_next(target) == goes_to


def test_the_first_run_makes_the_owner_and_closes_behind_itself(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        form = {"organization_name": "Two", "email": "two@example.com", "name": "", "password": web.password}
        answer = await web.browser.post("/first-run", data=form)
        assert answer.status_code in (303, 403, 422)
        assert "set-cookie" not in answer.headers
        async with web.database.reference() as tx:
            assert await tx.fetchval("select count(*) from organization") == 1

    with_web(scenario)
