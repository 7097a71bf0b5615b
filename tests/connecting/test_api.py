"""Connections over the API and the command line: what administrators may do, and what it answers."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import httpx

from connecting.town import ENOUGH, Town, in_town
from refref.flows import api_keys
from refref.web.app import App, create_app


def client(app: App, key: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(
        transport=transport, base_url="http://refref.test", headers={"Authorization": f"Bearer {key}"}
    )


async def api_key(town: Town, role: str) -> str:
    async with town.database.tenant(town.organization_id) as tx:
        made = await api_keys.create_api_key(
            tx, town.organization_id, name=role, role=role, actor="system", now=town.acting.now
        )
    return made.secret


def test_a_connection_over_the_api(database: str) -> None:
    async def story(town: Town) -> None:
        stripe_key = town.key()
        made = await town.connect(stripe_key)
        app = create_app(town.settings, town.database)
        path = f"/v1/connections/{made.connection_id}"
        async with (
            client(app, await api_key(town, "admin")) as admin,
            client(app, await api_key(town, "viewer")) as viewer,
        ):
            for step in ("check", "permissions", "endpoint/review", "endpoint/repair", "disconnect"):
                assert (await viewer.post(f"{path}/{step}", json={})).status_code == 403
            assert (await viewer.get(f"{path}/health")).json()["problems"] == []
            permissions = (await admin.post(f"{path}/permissions")).json()["permissions"]
            assert {row["state"] for row in permissions} == {"works"}
            review = (await admin.post(f"{path}/endpoint/review")).json()
            assert [found["code"] for found in review["findings"]] == ["no_endpoint"]
            for body in ({}, {"roll_secret": True}):
                repaired = (await admin.post(f"{path}/endpoint/repair", json=body)).json()
                assert (repaired["findings"], repaired["is_managed"]) == ([], True)
            town.sb.revoke_key(stripe_key)
            health = (await admin.post(f"{path}/check")).json()
            assert health["status"] == "degraded"
            assert [(row["code"], row["stops_calls"]) for row in health["problems"]] == [("key_refused", True)]
            refused = await admin.post(f"{path}/permissions")
            assert (refused.status_code, refused.json()["code"]) == (422, "stripe_key_refused")
            ended = (await admin.post(f"{path}/disconnect")).json()
            assert ended["status"] == "disabled"
            assert "Remove the endpoint" in ended["left_to_do"]  # the key that could have done it was revoked
            over = await admin.post(f"{path}/permissions")
            assert (over.status_code, over.json()["code"]) == (409, "connection_disabled")
            assert (await admin.get("/v1/connections/con_nothing/health")).status_code == 404
        await app.close()

    in_town(database, story)


def command(
    dsn: str, folder: str, *arguments: str, given: str = "", group: str = "connections"
) -> tuple[int, Any, str]:
    """The exit code, the JSON that was printed, and what was said on standard error."""
    environment = {**os.environ, "DATABASE_URL": dsn, "REFREF_DATA_DIR": folder}
    done = subprocess.run(
        [sys.executable, "-m", "refref", group, *arguments, "--json"],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_the_command_line(database: str, tmp_path: Any) -> None:
    folder = str(tmp_path)

    async def story(town: Town) -> None:
        async def run(*arguments: str, given: str = "") -> tuple[int, Any, str]:
            return await asyncio.to_thread(command, database, folder, *arguments, given=given)

        connect = ("connect", "--api-key", "-", "--api-base", town.stripe_url)
        code, made, _ = await run(*connect, given=town.key() + "\n")
        assert (code, made["mode"]) == (0, "test")
        code, seen, _ = await run("check")
        assert (code, seen["endpoint"]["findings"][0]["code"]) == (1, "no_endpoint")
        code, seen, _ = await run("endpoint", "--repair")
        assert (code, seen["findings"]) == (0, [])
        assert (await run("check"))[0] == 0
        code, _, said = await run("key", "--api-key", "-", given="pk_test_publishable\n")
        assert (code, "invalid_api_key" in said) == (1, True)
        assert (await run("key", "--api-key", "-", given=town.key() + "\n"))[0] == 0
        rows = (await run("list"))[1]
        assert [(row["status"], row["problems"]) for row in rows] == [("active", [])]
        code, ended, _ = await run("disconnect", "--yes")
        assert (code, ended["status"]) == (0, "disabled")

    in_town(database, story)


AS_TOLD = {name: right for name, right in ENOUGH.items() if name != "accounts_kyc_basic"}


def test_a_key_is_tried_before_the_api_stores_it(database: str) -> None:
    async def story(town: Town) -> None:
        app = create_app(town.settings, town.database)
        revoked = town.key()
        town.sb.revoke_key(revoked)
        async with client(app, await api_key(town, "admin")) as admin:

            async def create(**given: Any) -> httpx.Response:
                return await admin.post("/v1/connections", json={"name": "Shop", "api_base": town.stripe_url, **given})

            refused = await create(api_key=revoked)
            assert (refused.status_code, refused.json()["code"]) == (422, "stripe_key_refused")
            nobody = await create(api_key=town.key(), api_base="http://127.0.0.1:9")
            assert (nobody.status_code, nobody.json()["code"]) == (503, "stripe_unreachable")
            assert (await admin.get("/v1/connections")).json()["data"] == []
            narrow = {**AS_TOLD, "charge": "write"}
            del narrow["invoice"]
            made = (await create(api_key=town.key(narrow))).json()
            assert (made["status"], made["stripe_account_id"]) == ("active", "acct_sandbox")
            states = {row["name"]: row["state"] for row in made["permissions"]}
            assert (states["Invoices"], states["Charges and Refunds"]) == ("missing", "too_much")
            assert any("Charges and Refunds" in warning for warning in made["warnings"])
            assert made["warnings"][-1] == "Add to the key what it needs: Invoices."
            assert await town.open_codes(made["connection_id"]) == {"permission_missing"}
            twice = await create(api_key=town.key())
            assert (twice.status_code, twice.json()["code"]) == (409, "account_connected")
            listens = (await create(mode="test", webhook_secret="whsec_sample0001")).json()
            assert listens["permissions"] == []
            assert "no history is read" in " ".join(listens["warnings"])
        await app.close()

    in_town(database, story)


def test_the_same_request_is_answered_again_without_asking_stripe(database: str) -> None:
    async def story(town: Town) -> None:
        app = create_app(town.settings, town.database)
        key = town.key()
        body = {"name": "Shop", "api_key": key, "api_base": town.stripe_url}
        async with client(app, await api_key(town, "admin")) as admin:
            once = {"Idempotency-Key": "one"}
            first = await admin.post("/v1/connections", json=body, headers=once)
            town.sb.revoke_key(key)
            again = await admin.post("/v1/connections", json=body, headers=once)
            assert (first.status_code, again.status_code) == (201, 201)
            assert again.json() == first.json()
            assert again.headers["idempotency-replayed"] == "true"
            other = await admin.post("/v1/connections", json={**body, "name": "B"}, headers=once)
            assert other.json()["code"] == "idempotency_conflict"
        assert len(await town.read("select * from connection")) == 1
        await app.close()

    in_town(database, story)


def test_the_api_swaps_no_account_for_another(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect(town.key(AS_TOLD))
        other = town.sb.open_merchant("Other Sample Shop")["id"]
        foreign = str(town.sb.create_key(AS_TOLD, account=other)["key"])
        revoked = town.key()
        town.sb.revoke_key(revoked)
        app = create_app(town.settings, town.database)
        path = f"/v1/connections/{made.connection_id}/api_key"
        async with client(app, await api_key(town, "admin")) as admin:
            for key, code in (
                (foreign, "account_mismatch"),
                (revoked, "stripe_key_refused"),
                ("rk_live_sample000000", "mode_mismatch"),
            ):
                assert (await admin.post(path, json={"api_key": key})).json()["code"] == code
            kept = await town.read("select expires_at from connection_secret where kind = 'api_key'")
            assert [row["expires_at"] for row in kept] == [None]
            stored = await admin.post(path, json={"api_key": town.key(AS_TOLD)})
            assert stored.status_code == 201
            assert {row["state"] for row in stored.json()["permissions"]} == {"works"}
            assert "rk_test" not in stored.text
        await app.close()

    in_town(database, story)


def test_the_other_command_tries_the_key_too(database: str, tmp_path: Any) -> None:
    async def story(town: Town) -> None:
        async def run(*arguments: str, given: str = "") -> tuple[int, Any, str]:
            return await asyncio.to_thread(
                command, database, str(tmp_path), *arguments, given=given, group="connection"
            )

        create = ("create", "--api-key", "-", "--api-base", town.stripe_url)
        revoked = town.key()
        town.sb.revoke_key(revoked)
        code, _, said = await run(*create, given=revoked + "\n")
        assert (code, "stripe_key_refused" in said, revoked[-12:] in said) == (1, True, False)
        assert await town.read("select * from connection") == []
        code, made, _ = await run(*create, given=town.key() + "\n")
        assert (code, made["mode"]) == (0, "test")
        assert {row["state"] for row in made["key"]["permissions"]} == {"works"}
        code, made, _ = await run("create", "--mode", "test")
        assert (code, made["key"]) == (0, None)

    in_town(database, story)
