"""refref user, api-key, connection, key: setting an installation up from the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import ACTOR, AsJson, Installation, Organization, fail, run, secret_from, show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refref.db.connections import StripeConnection
    from refref.flows.api_keys import CreatedApiKey


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for noun, verb, command, purpose in (
        ("user", "create", create_user, "People who sign in."),
        ("api-key", "create", create_api_key, "Keys of the JSON API."),
        ("connection", "create", create_connection, "Connections to Stripe accounts."),
        ("key", "rotate", rotate_keys, "The master keys that encrypt Stripe's secrets."),
    ):
        group = typer.Typer(help=purpose, no_args_is_help=True)
        group.command(verb)(command)
        group.callback()(_nothing)  # keeps the verb a word of its own
        app.add_typer(group, name=noun)


def _nothing() -> None:
    pass


def create_user(
    email: Annotated[str, typer.Option(help="E-mail address to sign in with.")],
    name: Annotated[str, typer.Option(help="Name to show.")] = "",
    role: Annotated[str, typer.Option(help="owner, admin or viewer.")] = "admin",
    new_organization: Annotated[
        str | None, typer.Option("--new-organization", help="Make an organization of this name, owned by the user.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of making one.")
    ] = False,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Add a user; prints the password unless it was given."""
    import secrets

    from refref.flows import accounts
    from refref.passwords import hash_password

    password = sys.stdin.readline().rstrip("\n") if password_stdin else secrets.token_urlsafe(12)

    async def work(here: Installation) -> dict[str, str]:
        password_hash = await hash_password(password)
        if new_organization is not None:
            async with here.database.reference() as tx:
                made = await accounts.sign_up(
                    tx,
                    organization_name=new_organization,
                    email=email,
                    name=name,
                    password_hash=password_hash,
                    now=here.now,
                    is_allowed=True,
                )
            return {"organization_id": made.organization_id, "user_id": made.user_id}
        async with here.tenant(organization) as (tx, organization_id):
            user_id = await accounts.create_user(
                tx,
                organization_id,
                email=email,
                name=name,
                role=role,
                password_hash=password_hash,
                actor=ACTOR,
                now=here.now,
            )
        return {"organization_id": organization_id, "user_id": user_id}

    result = run(work)
    if not password_stdin:
        result["password"] = password
    show(result, "\n".join(f"{name}: {value}" for name, value in result.items()), as_json=as_json)


def create_api_key(
    name: Annotated[str, typer.Option(help="What it is for.")],
    role: Annotated[str, typer.Option(help="admin or viewer.")] = "admin",
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key; it is shown once."""
    from refref.flows import api_keys

    async def work(here: Installation) -> CreatedApiKey:
        async with here.tenant(organization) as (tx, organization_id):
            return await api_keys.create_api_key(tx, organization_id, name=name, role=role, actor=ACTOR, now=here.now)

    made = run(work)
    shown = {"api_key_id": made.key.api_key_id, "role": made.key.role, "secret": made.secret}
    show(shown, f"{made.secret}\nKeep it: it is not shown again.", as_json=as_json)


def create_connection(
    name: Annotated[str, typer.Option(help="What to call it.")] = "Stripe",
    mode: Annotated[str | None, typer.Option(help="test or live; told by the key where there is one.")] = None,
    api_key: Annotated[str | None, typer.Option(help="rk_… (or sk_…); - asks for it.")] = None,
    webhook_secret: Annotated[str | None, typer.Option(help="whsec_…; - asks for it.")] = None,
    account: Annotated[str | None, typer.Option(help="acct_…, if known.")] = None,
    api_base: Annotated[str | None, typer.Option(help="In test mode: a sandbox on this machine.")] = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Connect a Stripe account in one mode; a key is tried first."""
    from refref.cli.connections import desk_and_acting, report_text
    from refref.connecting.keys import connect_stripe, present_report
    from refref.flows.connections import NewConnection

    given = NewConnection(
        name=name,
        mode=mode,
        api_key=secret_from(api_key, "Stripe key"),
        webhook_secret=secret_from(webhook_secret, "Signing secret"),
        stripe_account_id=account,
        api_base=api_base,
    )

    async def work(here: Installation) -> tuple[StripeConnection, Mapping[str, object] | None, str]:
        made, report = await connect_stripe(*await desk_and_acting(here, organization), given)
        shown = None if report is None else present_report(report)
        return made, shown, f"{here.settings.base_url}/stripe/webhooks/{made.connection_id}"

    made, report, webhook_url = run(work)
    shown = {"connection_id": made.connection_id, "mode": made.mode, "webhook_url": webhook_url, "key": report}
    text = f"{made.connection_id} ({made.mode} mode)\nSend webhooks to {webhook_url}\n{report_text(report)}"
    show(shown, text, as_json=as_json)


def rotate_keys(as_json: AsJson = False) -> None:
    """Encrypt every secret under the first key of REFREF_MASTER_KEY; afterwards the older keys may go."""
    from refref.flows.connections import rotate_secrets
    from refref.vault import Vault, VaultError

    async def work(here: Installation) -> tuple[str, int]:
        vault = Vault(here.settings.master_keys)
        changed = 0
        try:
            for organization_id in await here.organization_ids(None):
                async with here.database.tenant(organization_id) as tx:
                    changed += await rotate_secrets(tx, vault, organization_id, actor=ACTOR, now=here.now)
        except VaultError as error:
            fail(str(error))
        return vault.current_key_id, changed

    key_id, changed = run(work)
    show({"key_id": key_id, "changed": changed}, f"{changed} secrets moved to key {key_id}.", as_json=as_json)
