"""The doctor: each fault that it knows is planted, found, and gone when it is mended; health raises nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from refref.core.diagnoses import Diagnosis
from refref.core.known_faults import FAULTS
from refref.core.refusals import Refused
from refref.db import connection_health, connections
from refref.flows.doctor import examine_books, examine_connection
from refref.sandbox import Sandbox
from refref.settings import MasterKey
from refref.vault import Vault
from stories import doctor_plants_books  # noqa: F401 - adds its plants
from stories.doctor_plants import DAY, PLANTS, later, mended, now, sell, sql
from stories.story import MODES, Mode, Story
from stories.world import World

OTHER_VAULT = Vault([MasterKey("k9", b"x" * 32)])


@pytest.fixture
def s(world_of: Callable[[Mode], World]) -> Story:
    """Give the story of a merchant whose sandbox's clock is 90 days behind ours."""
    world = world_of(MODES[0])
    sandbox = Sandbox(clock_start=int(now().timestamp()) - 90 * DAY, seed=23)
    made = Story(world, MODES[0], world.create_merchant(sandbox), sandbox, random.Random(23))  # noqa: S311 - repeatable tests need it
    sql(made, "update connection set created_at = now() where organization_id = $1 and connection_id = $2")
    sql(
        made,
        "update connection_secret set created_at = now() - interval '3 hours'"
        " where organization_id = $1 and connection_id = $2",
    )
    return made


def examine(s: Story, *, at: datetime | None = None, vault: Vault | None = None) -> list[Diagnosis]:
    async def work() -> list[Diagnosis]:
        own = (s.merchant.organization_id, s.merchant.connection_id)
        async with s.world.database.tenant(own[0]) as tx:
            connection = await connections.connection_by_id(tx, *own)
            assert connection is not None
            found = await examine_connection(tx, own[0], connection, vault or s.world.vault, now=at or later())
            return [*await examine_books(tx, own[0]), *found.diagnoses]

    return s.world.run(work())


def codes_of(found: list[Diagnosis]) -> list[str]:
    return [row.code for row in found]


SLOWLY = {"nothing_arrived": timedelta(days=2)}


@pytest.mark.parametrize("code", sorted(PLANTS))
def test_a_fault_is_found_and_gone_when_it_is_mended(s: Story, code: str) -> None:
    at = later() + SLOWLY.get(code, timedelta())
    s.affiliate("ana")
    if code not in ("nothing_arrived", "silent", "no_carriers", "signature_refused", "clock_refused"):
        sell(s)
    assert codes_of(examine(s)) == []
    plant, mend = PLANTS[code]
    plant(s)
    found = examine(s, at=at)
    assert codes_of(found) == [code], found
    (diagnosis,) = found
    assert diagnosis.count >= 1
    assert diagnosis.evidence or code == "silent"
    assert diagnosis.sentence.endswith(".")
    assert diagnosis.fix.sentence
    mend(s)
    assert codes_of(examine(s, at=at)) == []


def test_every_fault_of_the_table_is_planted() -> None:
    assert FAULTS.keys() == PLANTS.keys() | {"secret_unreadable", "stray_accounts"}


def test_secrets_that_cannot_be_decrypted_are_found(s: Story) -> None:
    found = examine(s, vault=OTHER_VAULT)
    assert codes_of(found) == ["secret_unreadable"]
    assert "webhook" in found[0].evidence[0]
    assert codes_of(examine(s)) == []


def test_an_open_problem_of_the_connection_is_told_with_its_remedy(s: Story) -> None:
    async def work(*codes: str) -> None:
        own = (s.merchant.organization_id, s.merchant.connection_id)
        async with s.world.database.tenant(own[0]) as tx:
            await connection_health.note_new_problems(tx, *own, dict.fromkeys(codes, "gone"), now())
            if not codes:
                await tx.execute("update connection_problem set ended_at = now()")

    s.world.run(work("key_refused"))
    found = examine(s)
    assert [(row.code, row.severity, row.evidence) for row in found] == [("key_refused", "error", ("gone",))]
    s.world.run(work())
    assert examine(s) == []


def test_a_healthy_set_up_raises_nothing(s: Story) -> None:
    s.affiliate("ana")
    promotion_code = s.code("ana")
    monthly, once = s.price(5_000, every="month"), s.price(9_000)
    for number in range(25):
        carried = {"refcode": "ana"} if number % 5 == 0 else {}
        s.buy(monthly if number % 2 else once, email=f"buyer{number}@customers.example", **carried)
    s.buy(
        monthly,
        email="both@customers.example",
        metadata={"refref_referral_id": "ana", "refref_campaign": "spring", "order": "7"},
        subscription_data={"metadata": {"refref_referral_id": "ana"}},
    )
    s.buy(once, email="code@customers.example", discounts=[{"promotion_code": promotion_code}])
    s.wait(months=2)
    s.sb.refund(s.sb.all("charge")[0]["id"], amount=1_000)
    s.deliver()
    assert examine(s) == []


def test_only_what_the_doctor_can_mend_is_repaired(s: Story) -> None:
    for code in ("silent", "no_such_fault"):
        with pytest.raises(Refused) as refused:
            mended(s, code)
        assert (refused.value.code, refused.value.field) == ("no_repair", "code")
