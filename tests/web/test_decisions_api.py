"""The API of approvals, verdicts and payouts, as a merchant's program calls it; and network addresses."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from core.samples import customer, invoice, line
from refref.db.pool import lock_books
from refref.flows.invariants import check_invariants
from refref.flows.settle import Incoming, settle

RunWeb = Callable[..., None]


async def sell(web: Any, connection_id: str, numbers: range, *, days_ago: int = 40, code: str = "sample") -> None:
    """Customers of a refcode, each with one paid invoice over 100.00 USD, an hour apart."""
    start = int((datetime.now(UTC) - timedelta(days=days_ago)).timestamp())
    facts = []
    for number in numbers:
        at = start + number * 3_600
        facts.append(customer(f"cus_{number}", code, at=at, email=f"c{number}@customers.example"))
        facts.append(invoice(number, [line(number, 10_000)], paid_at=at, customer=f"cus_{number}"))
    async with web.database.tenant(web.organization_id) as tx:
        await lock_books(tx, connection_id)
        own = (web.organization_id, connection_id)
        await settle(tx, *own, [Incoming(facts, None)], int(datetime.now(UTC).timestamp()))


async def shop(web: Any, **terms: Any) -> tuple[str, str, str]:
    """A connection, a program since long ago and a participant with the refcode `sample`."""
    connection_id = (await web.connection())["connection_id"]
    program_id = (await web.program(terms=terms, effective_at="2020-01-01T00:00:00Z"))["program_id"]
    person = await web.participant(program_id, refcode="sample", created_at="2020-01-01T00:00:00Z")
    return connection_id, program_id, person["participant_id"]


async def problem(answer: Any) -> tuple[int, str, str | None]:
    body = answer.json()
    return answer.status_code, body["code"], body.get("field")


def test_rewards_wait_and_are_decided(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection_id, program_id, participant_id = await shop(web, approval="manual")
        await sell(web, connection_id, range(1, 6))
        waiting = (await web.api.get("/v1/approvals")).json()["data"]
        assert [(row["status"], row["holds"]) for row in waiting] == [("held", ["awaiting_approval"])] * 5

        first = {"verdict": "approved", "reason": "Known", "reward_ids": [waiting[0]["reward_id"]]}
        done = await web.api.post("/v1/approvals", json=first, headers={"Idempotency-Key": "once"})
        again = await web.api.post("/v1/approvals", json=first, headers={"Idempotency-Key": "once"})
        assert done.json() == again.json() == {"reviewed": 1, "waiting": 0}
        rest = {"verdict": "rejected", "reason": "Not known", "waiting": {"participant_id": participant_id}}
        assert (await web.api.post("/v1/approvals", json=rest)).json() == {"reviewed": 4, "waiting": 0}
        statuses = [row["status"] for row in (await web.api.get("/v1/rewards")).json()["data"]]
        assert statuses == ["payable"] + ["reversed"] * 4
        assert (await web.api.get("/v1/approvals")).json()["data"] == []

        latest = (await web.api.get("/v1/reviews", params={"verdict": "rejected"})).json()["data"][0]
        assert (latest["subject"], latest["is_current"], latest["reason"]) == ("reward", True, "Not known")
        path = f"/v1/reviews/{latest['review_id']}/withdraw"
        assert (await web.api.post(path, json={"reason": "A mistake"})).status_code == 200
        assert await problem(await web.api.post(path, json={"reason": "A mistake"})) == (
            409, "review_outdated", "review_id",
        )  # fmt: skip
        assert len((await web.api.get("/v1/approvals")).json()["data"]) == 1
        whole = {"program_id": program_id, "payment_key": "in_1", "verdict": "approved", "reason": "All of it"}
        assert (await web.api.post("/v1/decisions/review", json=whole)).status_code == 200
        actions = {row["action"] for row in (await web.api.get("/v1/audit_log")).json()["data"]}
        assert {"review.approved", "review.rejected", "review.withdrawn"} <= actions

    with_web(scenario)


def test_the_explanation_names_checks_and_verdicts(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection_id, _, _ = await shop(web, fraud=[{"check": "disposable_email", "action": "deny"}])
        at = int((datetime.now(UTC) - timedelta(days=2)).timestamp())
        facts = [
            customer("cus_1", "sample", at=at, email="x@mailinator.com"),
            invoice(1, [line(1, 10_000)], paid_at=at + 60, customer="cus_1"),
        ]
        async with web.database.tenant(web.organization_id) as tx:
            await lock_books(tx, connection_id)
            await settle(tx, web.organization_id, connection_id, [Incoming(facts, None)], at + 90)
        referral = (await web.api.get("/v1/referrals", params={"status": "flagged"})).json()["data"][0]
        assert (referral["flags"], referral["verdict"]) == (["disposable_email"], None)
        assert (await web.api.get("/v1/rewards")).json()["data"] == []
        path = f"/v1/referrals/{referral['referral_id']}/review"
        assert (await web.api.post(path, json={"verdict": "approved", "reason": "I know them"})).status_code == 200
        assert (await web.api.get("/v1/referrals")).json()["data"][0]["verdict"] == "approved"
        told = (await web.api.get("/v1/explain/in_1")).json()["payments"][0]["programs"][0]
        assert told["outcome"] == "rewarded"
        assert told["fraud_sentences"] == ["The customer's e-mail address is of a service of throw-away addresses."]
        assert [(row["subject"], row["verdict"], row["reason"]) for row in told["reviews"]] == [
            ("referral", "approved", "I know them")
        ]

    with_web(scenario)


REFUSED = [
    ("/v1/approvals", {"verdict": "approved", "reason": "x"}, (422, "invalid_choice", "reward_ids")),
    ("/v1/approvals", {"verdict": "approved", "reason": " ", "waiting": {}}, (422, "invalid_reason", "reason")),
    (
        "/v1/approvals",
        {"verdict": "approved", "reason": "x", "reward_ids": ["rwd_no"]},
        (404, "unknown_reward", "reward_ids"),
    ),
    (
        "/v1/approvals",
        {"verdict": "approved", "reason": "x", "reward_ids": ["rwd_no"] * 501},
        (422, "too_many", "reward_ids"),
    ),
    ("/v1/reviews/rev_no/withdraw", {"reason": "x"}, (404, "unknown_review", "review_id")),
    ("/v1/referrals/rfl_no/review", {"verdict": "approved", "reason": "x"}, (404, "unknown_referral", "referral_id")),
    (
        "/v1/decisions/review",
        {"program_id": "prg_no", "payment_key": "in_no", "verdict": "rejected", "reason": "x"},
        (404, "unknown_conversion", "payment_key"),
    ),
    (
        "/v1/payouts",
        {"participant_id": "ptc_no", "currency": "usd"},
        (404, "unknown_participant", "participant_id"),
    ),
    ("/v1/payouts/pyt_no/undo", {"reason": "x"}, (404, "unknown_payout", "payout_id")),
]


def test_what_cannot_be_decided_names_the_field(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        _, _, participant_id = await shop(web)
        for path, body, expected in REFUSED:
            assert await problem(await web.api.post(path, json=body)) == expected, path
        payout = {"participant_id": participant_id, "currency": "usd"}
        for more, expected in (
            ({}, (422, "nothing_payable", "currency")),
            ({"currency": "xxx"}, (422, "invalid_currency", "currency")),
            ({"paid_on": "2999-01-01"}, (422, "paid_in_future", "paid_on")),
            ({"reference": "x" * 201}, (422, "invalid_reference", "reference")),
        ):
            assert await problem(await web.api.post("/v1/payouts", json=payout | more)) == expected, more

    with_web(scenario)


def test_a_payout_is_recorded_once_and_undone(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection_id, _, participant_id = await shop(web)
        await sell(web, connection_id, range(1, 4))
        body = {"participant_id": participant_id, "currency": "USD", "reference": "SAMPLE-1", "paid_on": "2026-01-31"}
        refused = await web.api.post("/v1/payouts", json=body | {"amount_minor": 2_500})
        assert await problem(refused) == (422, "payout_amount", "amount_minor")
        made = await web.api.post("/v1/payouts", json=body, headers={"Idempotency-Key": "p1"})
        repeated = await web.api.post("/v1/payouts", json=body, headers={"Idempotency-Key": "p1"})
        assert made.status_code == 201
        assert made.json() == repeated.json()
        payout = made.json()
        assert payout["amount"] == {"amount_minor": 6_000, "currency": "usd"}
        assert [item["amount"]["amount_minor"] for item in payout["items"]] == [2_000] * 3
        rewards = (await web.api.get("/v1/rewards", params={"status": "paid"})).json()["data"]
        assert [row["paid"]["amount_minor"] for row in rewards] == [2_000] * 3
        (balance,) = (await web.api.get(f"/v1/participants/{participant_id}")).json()["balances"]
        assert (balance["payable"]["amount_minor"], balance["paid"]["amount_minor"]) == (0, 6_000)
        path = f"/v1/payouts/{payout['payout_id']}"
        undone = await web.api.post(f"{path}/undo", json={"reason": "The transfer came back"})
        assert undone.json()["undone_reason"] == "The transfer came back"
        assert await problem(await web.api.post(f"{path}/undo", json={"reason": "x"})) == (
            409, "payout_undone", "payout_id",
        )  # fmt: skip
        assert len((await web.api.get("/v1/rewards", params={"status": "payable"})).json()["data"]) == 3
        assert (await web.api.get("/v1/payouts")).json()["data"][0]["undone_at"] is not None
        async with web.database.tenant(web.organization_id) as tx:
            assert all(finding.ok for finding in await check_invariants(tx, web.organization_id))

    with_web(scenario)


def test_addresses_are_kept_as_hashes_and_compared(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection_id, program_id, _ = await shop(web)
        await web.participant(program_id, refcode="networked", created_at="2020-01-01T00:00:00Z", ip="203.0.113.7")
        bound = {"stripe_customer_id": "cus_1", "code": "networked", "ip": "203.0.113.7"}
        assert (await web.api.post("/v1/referrals", json=bound)).status_code == 201
        other = {"stripe_customer_id": "cus_2", "code": "networked", "ip": "203.0.113.8"}
        assert (await web.api.post("/v1/referrals", json=other)).status_code == 201
        await sell(web, connection_id, range(1, 3), days_ago=0, code="networked")
        found = {row["referee_id"]: row["flags"] for row in (await web.api.get("/v1/referrals")).json()["data"]}
        assert found == {"cus_1": ["self_ip"], "cus_2": []}
        for ip in ("10.0.0.1", "::1", "not an address", "fd00::1"):
            refused = await web.api.post("/v1/referrals", json=bound | {"ip": ip})
            assert await problem(refused) == (422, "invalid_ip", "ip")
        async with web.database.tenant(web.organization_id) as tx:
            hashes = await tx.fetchval("select ip_hash from participant_ip")
            bodies = await tx.fetch("select body from fact")
            secrets = await tx.fetchval("select count(*) from connection_secret where kind = 'ip_hash'")
        assert len(hashes) == 32
        assert not any(b"203.0.113" in row[0] for row in bodies)
        assert secrets == 1

    with_web(scenario)
