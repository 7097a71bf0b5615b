"""Both rotate under load, the master key and the signing secret, and no signed event is lost or refused."""

import asyncio
import itertools
import json
import secrets
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx

from connecting.town import Town, in_town, served
from refref.flows.connections import NewConnection, add_webhook_secret, create_connection, rotate_secrets
from refref.sandbox.deliveries import sign
from refref.settings import MasterKey, Settings
from refref.vault import Vault

K1, K2 = MasterKey("k1", bytes(range(32))), MasterKey("k2", bytes(range(1, 33)))
SENDERS = 6
# As docs/connecting.md tells: every process learns the new key, then seals with it, then forgets the old one.
ORDER = ((K1,), (K1, K2), (K2, K1), (K2,))


class Load:
    """Senders that post signed events all the time; `secrets` are those Stripe may sign with now."""

    def __init__(self, path: str, secret: str) -> None:
        self.path = path
        self.secrets = [secret]
        self.address = ""
        self.statuses: dict[str, int] = {}
        self.under_way: Counter[str] = Counter()  # unanswered events by the secret they are signed with
        self.is_over = False
        self.senders: list[asyncio.Task[None]] = []
        self._numbers = itertools.count()

    async def send(self, client: httpx.AsyncClient) -> None:
        while not self.is_over:
            number = next(self._numbers)
            event_id = f"evt_{number}"
            body = json.dumps(
                {
                    "id": event_id,
                    "object": "event",
                    "type": "customer.created",
                    "created": int(time.time()),
                    "livemode": False,
                    "data": {"object": {"id": f"cus_{number}", "object": "customer"}},
                }
            ).encode()
            secret = self.secrets[-1 - number % len(self.secrets)]
            header = {"stripe-signature": sign(body, secret, int(time.time()))}
            self.under_way[secret] += 1
            answer = await client.post(self.address + self.path, content=body, headers=header)
            self.under_way[secret] -= 1
            self.statuses[event_id] = answer.status_code

    async def sign_with_the_newest(self) -> None:
        """Sign with the newest secret alone, and go on once all that an older one signed is answered."""
        newest = self.secrets[-1]
        self.secrets = [newest]
        while self.under_way.total() > self.under_way[newest]:
            await self._a_moment()

    async def more(self, count: int) -> None:
        """Go on once so many further events were answered."""
        goal = len(self.statuses) + count
        while len(self.statuses) < goal:
            await self._a_moment()

    async def _a_moment(self) -> None:
        await asyncio.sleep(0.01)
        for sender in self.senders:
            if sender.done():
                await sender


def test_both_rotate_under_load(database: str) -> None:
    async def story(town: Town) -> None:
        first = f"whsec_{secrets.token_hex(16)}"
        given = NewConnection(name="Shop", mode="test", webhook_secret=first)
        async with town.database.tenant(town.organization_id) as tx:
            made = await create_connection(
                tx, Vault([K1]), town.organization_id, given, actor="system", now=town.acting.now
            )
        load = Load(f"/stripe/webhooks/{made.connection_id}", first)
        async with AsyncExitStack() as processes, httpx.AsyncClient(timeout=20) as client:
            load.address = await processes.enter_async_context(served(with_keys(town, ORDER[0]), town.database))
            load.senders = [asyncio.create_task(load.send(client)) for _ in range(SENDERS)]
            await load.more(50)
            for keys in ORDER[1:]:
                # the new process is there before the old one is left, as a rolling restart does
                load.address = await processes.enter_async_context(served(with_keys(town, keys), town.database))
                await load.more(50)
                for _ in range(3):
                    await roll(town, made.connection_id, load, Vault(keys))
                    await load.more(50)
                if keys[0] is K2:
                    async with town.database.tenant(town.organization_id) as tx:
                        await rotate_secrets(tx, Vault(keys), town.organization_id, actor="system", now=town.acting.now)
                    await load.more(50)
            load.is_over = True
            await asyncio.gather(*load.senders)
        refused = {event: status for event, status in load.statuses.items() if status != 200}
        assert refused == {}
        assert len(load.statuses) > 600
        stored = {row["stripe_event_id"] for row in await town.read("select stripe_event_id from stripe_event")}
        assert stored == load.statuses.keys()
        assert {row["key_id"] for row in await town.read("select key_id from connection_secret")} == {"k2"}

    in_town(database, story)


def with_keys(town: Town, keys: tuple[MasterKey, ...]) -> Settings:
    return replace(town.settings, master_keys=keys)


async def roll(town: Town, connection_id: str, load: Load, vault: Vault) -> None:
    """Add a signing secret; from the same instant Stripe may sign with it, and with the one before.

    The roll ends what is older than the one before: Stripe signs with that no more when it begins.
    """
    fresh = f"whsec_{secrets.token_hex(16)}"
    await load.sign_with_the_newest()
    async with town.database.tenant(town.organization_id) as tx:
        await add_webhook_secret(
            tx,
            vault,
            town.organization_id,
            connection_id,
            webhook_secret=fresh,
            actor="system",
            now=town.acting.now,
        )
    load.secrets = [load.secrets[-1], fresh]
