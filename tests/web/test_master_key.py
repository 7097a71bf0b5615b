"""Another REFREF_MASTER_KEY than the one that sealed the secrets: nothing is lost, and the answer says what to mend."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from refref.sandbox.deliveries import sign
from refref.settings import MasterKey
from refref.web.app import create_app

SECRET = "whsec_" + "a" * 32


def test_webhooks_wait_for_the_right_master_key(with_web: Callable[..., None]) -> None:
    async def scenario(web: Any) -> None:
        made = await web.connection(webhook_secret=SECRET)
        body = json.dumps({
            "id": "evt_1", "object": "event", "type": "invoice.paid", "created": int(time.time()), "livemode": False,
            "api_version": "2026-10-28.endive", "data": {"object": {"id": "in_1", "object": "invoice"}},
        }).encode()  # fmt: skip
        keys = {"k1": bytes(range(1, 33)), "k2": bytes(range(32))}
        for key_id, key in keys.items():
            app = create_app(replace(web.settings, master_keys=(MasterKey(key_id, key),)), web.database)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=web.settings.base_url) as client:
                answer = await client.post(
                    f"/stripe/webhooks/{made['connection_id']}",
                    content=body,
                    headers={"stripe-signature": sign(body, SECRET, int(time.time()))},
                )
            await app.close()
            assert (answer.status_code, answer.json()["code"]) == (503, "secret_unreadable")

    with_web(scenario)
