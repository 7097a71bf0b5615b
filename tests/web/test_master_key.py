"""Another REFREF_MASTER_KEY than the one that sealed the secrets: the answer says so, and secrets can be given anew."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from refref.sandbox.deliveries import sign
from refref.settings import MasterKey
from refref.web.app import create_app

OLD, NEW = "whsec_" + "a" * 32, "whsec_" + "b" * 32
SAME_ID, OTHER_ID = MasterKey("k1", bytes(range(1, 33))), MasterKey("k2", bytes(range(1, 33)))


@asynccontextmanager
async def with_key(web: Any, key: MasterKey) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(replace(web.settings, master_keys=(key,)), web.database)
    headers = {"Authorization": f"Bearer {web.api_key}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=web.settings.base_url, headers=headers
    ) as client:
        yield client
    await app.close()


async def deliver(client: httpx.AsyncClient, connection_id: str, secret: str) -> httpx.Response:
    body = json.dumps({
        "id": "evt_1", "object": "event", "type": "invoice.paid", "created": int(time.time()), "livemode": False,
        "api_version": "2026-10-28.endive", "data": {"object": {"id": "in_1", "object": "invoice"}},
    }).encode()  # fmt: skip
    header = {"stripe-signature": sign(body, secret, int(time.time()))}
    return await client.post(f"/stripe/webhooks/{connection_id}", content=body, headers=header)


def test_webhooks_wait_for_the_right_master_key(with_web: Callable[..., None]) -> None:
    async def scenario(web: Any) -> None:
        made = await web.connection(webhook_secret=OLD)
        for key in (SAME_ID, OTHER_ID):
            async with with_key(web, key) as client:
                answer = await deliver(client, made["connection_id"], OLD)
                assert (answer.status_code, answer.json()["code"]) == (503, "secret_unreadable")
        async with with_key(web, web.settings.master_keys[0]) as client:
            assert (await deliver(client, made["connection_id"], OLD)).status_code == 200

    with_web(scenario)


def test_when_the_master_key_is_lost_secrets_are_given_anew(with_web: Callable[..., None]) -> None:
    async def scenario(web: Any) -> None:
        made = await web.connection(webhook_secret=OLD)
        async with with_key(web, OTHER_ID) as client:
            address = f"/v1/connections/{made['connection_id']}/webhook_secrets"
            assert (await client.post(address, json={"webhook_secret": NEW})).status_code == 201
            assert (await deliver(client, made["connection_id"], NEW)).status_code == 200

    with_web(scenario)
