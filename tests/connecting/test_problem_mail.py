"""Administrators hear of a problem once, whatever the mail server does, and however often it comes back."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from connecting.town import OWNER, Town, in_town
from refref.connecting.keys import exchange_key
from refref.connecting.watch import check_connection
from refref.flows import accounts
from refref.settings import MailServer
from refref.worker.problem_mail import ProblemMail

ADMIN = "admin@example.com"


class Postbox:
    """A mail server that keeps what it is given; `replies` are its answers to mail for an address."""

    def __init__(self, taken: socket.socket) -> None:
        self.port: int = taken.getsockname()[1]
        self._taken = taken
        self.mails: list[tuple[str, Message]] = []
        self.replies: dict[str, str] = {}
        self.is_full = False

    async def open(self) -> asyncio.Server:
        """Serve on the running event loop."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: SMTP(self, hostname="localhost", loop=loop), sock=self._taken)

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.replies:
            return self.replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.is_full:
            return "452 Insufficient system storage"
        await asyncio.sleep(0.05)  # another worker would be at it by now
        assert isinstance(envelope.content, bytes)
        self.mails += [(address, message_from_bytes(envelope.content)) for address in envelope.rcpt_tos]
        return "250 OK"

    @property
    def told(self) -> list[str]:
        """Who was written to, in alphabetical order."""
        return sorted(address for address, _ in self.mails)


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield Postbox(taken)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told_town(
    database: str, postbox: Postbox, story: Callable[[Town, str, ProblemMail, Clock], Awaitable[None]]
) -> None:
    """A town with an admin and a viewer beside its owner, whose connection's key has just been refused."""

    async def main(town: Town) -> None:
        for email, role in ((ADMIN, "admin"), ("viewer@example.com", "viewer")):
            async with town.database.tenant(town.organization_id) as tx:
                await accounts.create_user(
                    tx,
                    town.organization_id,
                    email=email,
                    name="",
                    role=role,
                    password_hash="-",
                    actor="system",
                    now=datetime.now(UTC),
                )
        key = town.key()
        made = await town.connect(key)
        clock = Clock()
        mail = ProblemMail(town.database, town.settings, clock)
        assert await mail.send_due() == 0
        await refuse(town, made.connection_id, key)
        async with await postbox.open():
            await story(town, made.connection_id, mail, clock)

    in_town(database, main, mail=MailServer("127.0.0.1", postbox.port, None, None, False, "refref@example.com"))


async def refuse(town: Town, connection_id: str, key: str) -> None:
    town.sb.revoke_key(key)
    await check_connection(town.desk, town.acting, connection_id)
    assert await town.open_codes(connection_id) == {"key_refused"}


def test_administrators_are_mailed_once(database: str, postbox: Postbox) -> None:
    async def story(town: Town, connection_id: str, mail: ProblemMail, _: Clock) -> None:
        assert await mail.send_due() == 2
        assert await mail.send_due() == 0
        assert postbox.told == [ADMIN, OWNER]
        message = postbox.mails[0][1]
        assert message["Subject"] == "RefRef: Stripe refuses the key (Shop, test mode)"
        text = message.get_payload(decode=True)
        assert isinstance(text, bytes)
        assert f"/integrations/stripe/{connection_id}" in text.decode()
        assert "rk_test" not in text.decode()
        await check_connection(town.desk, town.acting, connection_id)  # still so: no second mail
        assert await mail.send_due() == 0

    told_town(database, postbox, story)


def test_a_server_that_is_full_is_tried_again_after_a_rest(database: str, postbox: Postbox) -> None:
    async def story(_town: Town, _connection: str, mail: ProblemMail, clock: Clock) -> None:
        postbox.is_full = True
        assert await mail.send_due() == 0
        postbox.is_full = False
        assert await mail.send_due() == 0
        clock.now += 31
        assert await mail.send_due() == 2
        assert postbox.told == [ADMIN, OWNER]

    told_town(database, postbox, story)


@pytest.mark.parametrize(
    ("reply", "told_later"),
    [
        ("550 No such user", [OWNER]),
        ("451 Try again later", [ADMIN, OWNER]),
    ],
)
def test_one_bad_address_does_not_flood_the_others(
    database: str, postbox: Postbox, reply: str, told_later: list[str]
) -> None:
    async def story(_town: Town, _connection: str, mail: ProblemMail, clock: Clock) -> None:
        postbox.replies[ADMIN] = reply
        for _ in range(5):
            await mail.send_due()
            clock.now += 4000
        assert postbox.told == [OWNER]
        postbox.replies.clear()
        await mail.send_due()
        assert postbox.told == told_later

    told_town(database, postbox, story)


def test_where_nobody_can_be_reached_it_is_tried_until_somebody_can(database: str, postbox: Postbox) -> None:
    async def story(_town: Town, _connection: str, mail: ProblemMail, clock: Clock) -> None:
        postbox.replies = {ADMIN: "550 No such user", OWNER: "550 No such user"}
        assert await mail.send_due() == 0
        postbox.replies.clear()
        clock.now += 4000
        assert await mail.send_due() == 2

    told_town(database, postbox, story)


def test_two_workers_send_one_mail(database: str, postbox: Postbox) -> None:
    async def story(town: Town, _connection: str, mail: ProblemMail, _: Clock) -> None:
        other = ProblemMail(town.database, town.settings)
        assert sorted(await asyncio.gather(mail.send_due(), other.send_due())) == [0, 2]
        assert postbox.told == [ADMIN, OWNER]
        assert await other.send_due() == 0

    told_town(database, postbox, story)


def test_a_problem_that_comes_and_goes_is_no_storm(database: str, postbox: Postbox) -> None:
    async def story(town: Town, connection_id: str, mail: ProblemMail, _: Clock) -> None:
        for _ in range(3):
            await mail.send_due()
            key = town.key()
            await exchange_key(town.desk, town.acting, connection_id, key)
            await refuse(town, connection_id, key)
        await mail.send_due()
        assert postbox.told == [ADMIN, OWNER]
        async with town.database.tenant(town.organization_id) as tx:
            await tx.execute("update connection_problem set mailed_at = mailed_at - interval '7 hours'")
        assert await mail.send_due() == 2  # it has lasted

    told_town(database, postbox, story)


def test_a_name_with_a_line_separator_stops_no_mail(database: str, postbox: Postbox) -> None:
    async def story(town: Town, _connection: str, mail: ProblemMail, _: Clock) -> None:
        async with town.database.tenant(town.organization_id) as tx:
            await tx.execute("update connection set name = $1", "Shop\u2028Bcc: x@example.com")
        assert await mail.send_due() == 2
        assert postbox.mails[0][1]["Bcc"] is None

    told_town(database, postbox, story)


def test_without_a_mail_server_the_pages_alone_tell(database: str) -> None:
    async def story(town: Town) -> None:
        key = town.key()
        made = await town.connect(key)
        await refuse(town, made.connection_id, key)
        assert await ProblemMail(town.database, town.settings).send_due() == 0
        assert await town.open_codes(made.connection_id) == {"key_refused"}

    in_town(database, story)
