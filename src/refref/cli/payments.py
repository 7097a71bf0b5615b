"""refref overview, refref payments, refref rewards: what came of the events, per currency."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from refref.cli.running import (
    AsJson,
    ConnectionId,
    Installation,
    Instant,
    Organization,
    given_instant,
    one_of,
    run,
    show,
    table,
)

if TYPE_CHECKING:
    from refref.db.reports import CurrencyTotals, DecisionRow, Overview, Page, RewardRow
    from refref.flows.estimate_totals import Together

ProgramId = Annotated[str | None, typer.Option("--program", help="Program id.")]
CustomerId = Annotated[str | None, typer.Option("--customer", help="Stripe customer id.")]
Search = Annotated[str | None, typer.Option(help="A part of an id, a name or an e-mail address.")]
Limit = Annotated[int, typer.Option(min=1, max=200)]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("overview")(overview)
    payments = typer.Typer(help="Payments, with what was decided about each.", no_args_is_help=True)
    payments.command("list")(list_payments)
    app.add_typer(payments, name="payments")
    rewards = typer.Typer(help="Rewards.", no_args_is_help=True)
    rewards.command("list")(list_rewards)
    app.add_typer(rewards, name="rewards")


def overview(
    days: Annotated[int, typer.Option(min=1, max=3660, help="The period, up to the connection's now.")] = 30,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Sums per currency: referred and earned in a period, and what the ledger holds now. All together: an estimate."""
    from refref.db import reports
    from refref.flows.estimate_totals import estimate_totals

    async def work(here: Installation) -> tuple[Overview, Together | None]:
        async with here.books(organization, connection) as (tx, own):
            now = await here.connection_now(tx, *own)
            sums = await reports.overview_totals(tx, *own, now - timedelta(days=days))
            return sums, await estimate_totals(tx, *own, sums.currencies, now.date())

    sums, together = run(work)
    show({**_fields(sums), "estimate": together}, "\n".join(_overview_lines(sums, together, days)), as_json=as_json)


def _fields(sums: Overview) -> dict[str, object]:
    return {name: getattr(sums, name) for name in type(sums).__slots__}


def _overview_lines(sums: Overview, together: Together | None, days: int) -> list[str]:
    from refref.core.estimates import present_rate
    from refref.core.money import format_amount

    lines = [f"In {days} days: {sums.payment_count} payments, {sums.referred_payment_count} of them referred."]
    names = ("referred", "earned", "reversed", "pending", "payable", "held")
    rows = [("", *names), *(_row(total, names) for total in sums.currencies)]
    lines += table(rows).splitlines() if sums.currencies else []
    if together is not None:
        about = [f"{name} {format_amount(one.amount_minor, one.currency)}" for name, one in together.sums.items()]
        lines += [
            f"All together, estimated: about {', '.join(about)}.",
            f"Rates: {'; '.join(map(present_rate, together.rates)) or 'none'}.",
        ]
        lines += [f"Left out, because no rate is known: {', '.join(together.left_out)}."] if together.left_out else []
    return lines


def _row(total: CurrencyTotals, names: tuple[str, ...]) -> tuple[str, ...]:
    from refref.core.money import format_amount

    amounts = [format_amount(getattr(total, f"{name}_minor"), total.currency) for name in names]
    return (total.currency.upper(), *amounts)


def list_payments(
    outcome: Annotated[str | None, typer.Option(help="rewarded, refused or waiting.")] = None,
    reason: Annotated[str | None, typer.Option(help="A reason code, such as not_attributed.")] = None,
    program: ProgramId = None,
    customer: CustomerId = None,
    is_referred: Annotated[
        bool | None, typer.Option("--referred/--not-referred", help="Of referred customers only, or of others.")
    ] = None,
    since: Instant = None,
    search: Search = None,
    limit: Limit = 50,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """List payments and other conversions with what was decided about each, the latest first."""
    from refref.db import reports
    from refref.db.reports import Outcome

    outcomes: tuple[Outcome, ...] = get_args(Outcome)
    wanted = one_of(outcome, outcomes, "--outcome")
    from_at = given_instant(since)

    async def work(here: Installation) -> Page[DecisionRow]:
        async with here.books(organization, connection) as (tx, own):
            return await reports.decisions_page(
                tx,
                *own,
                outcome=wanted,
                reason=reason,
                program_id=program,
                referee_id=customer,
                is_referred=is_referred,
                since=from_at,
                search=search,
                limit=limit,
            )

    rows = run(work).rows
    show(rows, table([_payment_line(row) for row in rows]) or "No payments.", as_json=as_json)


def _payment_line(row: DecisionRow) -> tuple[str, ...]:
    from refref.core.money import format_amount

    earned = [
        format_amount(one.earned_minor, one.currency)
        + (f" (-{format_amount(one.reversed_minor, one.currency)})" if one.reversed_minor else "")
        for one in row.earned
    ]
    return (
        f"{row.occurred_at:%Y-%m-%d %H:%M}",
        row.payment_key,
        row.referee_email or row.referee_id,
        format_amount(row.paid_minor, row.currency) if row.is_payment or row.paid_minor else "no payment",
        row.reason or row.outcome,
        ", ".join([*earned, *row.grants]),
    )


def list_rewards(
    status: Annotated[str | None, typer.Option(help="pending, payable, held, reversed, expired or paid.")] = None,
    program: ProgramId = None,
    participant: Annotated[str | None, typer.Option("--participant", help="Participant id.")] = None,
    customer: CustomerId = None,
    payment: Annotated[str | None, typer.Option("--payment", help="The payment's key, such as in_….")] = None,
    currency: Annotated[str | None, typer.Option(help="Of the reward.")] = None,
    search: Search = None,
    limit: Limit = 50,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """List rewards, the latest payment first. `refref explain ID` says why each is what it is."""
    from refref.db import reports
    from refref.db.reports import RewardStatus

    statuses: tuple[RewardStatus, ...] = get_args(RewardStatus)
    wanted = one_of(status, statuses, "--status")

    async def work(here: Installation) -> Page[RewardRow]:
        async with here.books(organization, connection) as (tx, own):
            return await reports.rewards_page(
                tx,
                *own,
                status=wanted,
                program_id=program,
                participant_id=participant,
                referee_id=customer,
                payment_key=payment,
                currency=currency,
                search=search,
                limit=limit,
            )

    rows = run(work).rows
    show(rows, table([_reward_line(row) for row in rows]) or "No rewards.", as_json=as_json)


def _reward_line(row: RewardRow) -> tuple[str, ...]:
    from refref.core.money import format_amount

    worth = format_amount(row.net_minor, row.currency) if row.kind in ("commission", "credit") else f"a {row.kind}"
    return (
        row.reward_id,
        f"{row.occurred_at:%Y-%m-%d}",
        row.status,
        row.participant_name if row.beneficiary_id != row.referee_id else f"customer {row.referee_id}",
        row.payment_key,
        row.rule_id,
        worth,
    )
