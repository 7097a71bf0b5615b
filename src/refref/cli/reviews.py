"""refref approvals list, approve, reject, withdraw: what waits for a person, and deciding on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import ACTOR, AsJson, ConnectionId, Installation, Organization, fail, one_of, run, show, table

if TYPE_CHECKING:
    from refref.db.reports import Page, ReviewRow, RewardRow

Reason = Annotated[str, typer.Option(help="Why; it is kept.")]
RewardIds = Annotated[list[str] | None, typer.Argument(help="Reward ids; or give --all.")]
All = Annotated[bool, typer.Option("--all", help="All that wait and fit the filters, 500 at a time.")]
ProgramId = Annotated[str | None, typer.Option("--program", help="Program id.")]
ParticipantId = Annotated[str | None, typer.Option("--participant", help="Participant id.")]
Hold = Annotated[str | None, typer.Option(help="awaiting_approval or fraud_hold.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    approvals = typer.Typer(help="What waits for a person.", no_args_is_help=True)
    approvals.command("list")(list_approvals)
    approvals.command("approve")(approve)
    approvals.command("reject")(reject)
    approvals.command("withdraw")(withdraw)
    app.add_typer(approvals, name="approvals")


def list_approvals(
    program: ProgramId = None,
    participant: ParticipantId = None,
    hold: Hold = None,
    is_decided: Annotated[bool, typer.Option("--decided", help="What was decided, instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """List rewards that wait for a person, with the reason; the latest conversion first."""
    from refref.db import reports

    if is_decided:
        _list_decided(program, limit, organization, connection, as_json)
        return
    _check_hold(hold)

    async def work(here: Installation) -> Page[RewardRow]:
        async with here.books(organization, connection) as (tx, own):
            return await reports.rewards_page(
                tx,
                *own,
                is_waiting=True,
                hold=hold,
                program_id=program,
                participant_id=participant,
                limit=limit,
            )

    rewards = run(work).rows
    show(rewards, table([_line(row) for row in rewards]) or "Nothing waits.", as_json=as_json)


def _line(row: RewardRow) -> tuple[str, ...]:
    from refref.core.money import format_amount

    is_money = row.kind in ("commission", "credit")
    amount = format_amount(row.amount_minor, row.currency) if is_money else f"a {row.kind}"
    customer = row.referee_email or row.referee_id
    why = ", ".join((*row.holds, *row.flags))
    return row.reward_id, amount, row.participant_name, customer, row.payment_key, why


def _list_decided(
    program: str | None, limit: int, organization: str | None, connection: str | None, as_json: bool
) -> None:
    from refref.db import reports

    async def work(here: Installation) -> Page[ReviewRow]:
        async with here.books(organization, connection) as (tx, own):
            return await reports.reviews_page(tx, *own, program_id=program, limit=limit)

    rows = run(work).rows
    lines = [
        (row.review_id, f"{row.at:%Y-%m-%d %H:%M}", row.verdict, row.stripe_id, row.rule_id or "-", row.reason)
        for row in rows
    ]
    show(rows, table(lines) or "Nothing was decided yet.", as_json=as_json)


def approve(
    reason: Reason,
    reward_ids: RewardIds = None,
    everything: All = False,
    program: ProgramId = None,
    participant: ParticipantId = None,
    hold: Hold = None,
    referral: Annotated[str | None, typer.Option("--referral", help="A whole referral, by its id, instead.")] = None,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Approve rewards, or a whole referral whatever the checks found."""
    filters = (program, participant, hold)
    _decide("approved", reason, reward_ids, everything, filters, referral, organization, connection, as_json)


def reject(
    reason: Reason,
    reward_ids: RewardIds = None,
    everything: All = False,
    program: ProgramId = None,
    participant: ParticipantId = None,
    hold: Hold = None,
    referral: Annotated[str | None, typer.Option("--referral", help="A whole referral, by its id, instead.")] = None,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Reject rewards, or a whole referral: all of it is taken back."""
    filters = (program, participant, hold)
    _decide("rejected", reason, reward_ids, everything, filters, referral, organization, connection, as_json)


def withdraw(
    review_id: Annotated[str, typer.Argument(help="The verdict's id, from `refref approvals list --decided`.")],
    reason: Reason,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Take a verdict back, as if nobody had decided."""
    from refref.flows.reviews import withdraw_review

    async def work(here: Installation) -> None:
        async with here.books(organization, connection) as (tx, own):
            await withdraw_review(tx, *own, review_id, reason=reason, actor=ACTOR, now=here.now)

    run(work)
    show({"withdrawn": review_id}, f"{review_id} was taken back.", as_json=as_json)


def _check_hold(hold: str | None) -> None:
    from refref.flows.reviews import HOLDS

    one_of(hold, HOLDS, "--hold")


def _decide(
    verdict: str,
    reason: str,
    reward_ids: list[str] | None,
    everything: bool,
    filters: tuple[str | None, str | None, str | None],
    referral_id: str | None,
    organization: str | None,
    connection: str | None,
    as_json: bool,
) -> None:
    from refref.flows.reviews import review_referral, review_rewards, review_waiting

    if bool(reward_ids) + everything + bool(referral_id) != 1:
        fail("say on what: reward ids, or --all with or without filters, or --referral.", code=2)
    program_id, participant_id, hold = filters
    _check_hold(hold)

    async def work(here: Installation) -> tuple[int, int]:
        async with here.tenant(organization) as (tx, organization_id):
            if referral_id:
                await review_referral(
                    tx, organization_id, referral_id, verdict=verdict, reason=reason, actor=ACTOR, now=here.now
                )
                return 1, 0
            chosen = await here.connection(tx, organization_id, connection)
            own = (organization_id, chosen.connection_id)
            if everything:
                return await review_waiting(
                    tx,
                    *own,
                    program_id=program_id,
                    participant_id=participant_id,
                    hold=hold,
                    verdict=verdict,
                    reason=reason,
                    actor=ACTOR,
                    now=here.now,
                )
            count = await review_rewards(
                tx, *own, reward_ids or [], verdict=verdict, reason=reason, actor=ACTOR, now=here.now
            )
            return count, 0

    count, waiting = run(work)
    what = "referral" if referral_id else "rewards"
    left = f"; {waiting} still wait" if waiting else ""
    show({"reviewed": count, "waiting": waiting}, f"{count} {what} {verdict}{left}.", as_json=as_json)
