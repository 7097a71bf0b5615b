"""The command line: `refref COMMAND`. Parses, opens the transaction, calls a flow or a report, prints text or JSON.

Every module is imported when its command runs, so that `refref --help` stays quick.
"""

from __future__ import annotations

import typer

from refref.cli import (
    attribute,
    audit,
    backtest,
    books,
    catalog,
    connections,
    custom_events,
    doctor,
    history,
    participants,
    payments,
    payouts,
    processes,
    programs,
    rates,
    reviews,
    setup,
    simulate,
    terms,
)

app = typer.Typer(
    name="refref",
    help="RefRef: referral and affiliate programs around Stripe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (
    processes,
    books,
    doctor,
    attribute,
    setup,
    connections,
    programs,
    participants,
    payments,
    terms,
    backtest,
    custom_events,
    catalog,
    history,
    rates,
    reviews,
    payouts,
    audit,
    simulate,
):
    module.add_to(app)


def main() -> None:
    """The entry point of the console script."""
    app(prog_name="refref")
