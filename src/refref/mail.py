"""Sends plain mail through the server that SMTP_URL names. Knows no recipient's reason and keeps nothing."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from refref.settings import MailServer

TIMEOUT_S = 30


class MailRefused(Exception):
    """The server could not be reached or did not take the mail; it may be sent again."""


async def send_mail(server: MailServer, recipients: Sequence[str], subject: str, text: str, *, now: datetime) -> None:
    """Send one mail to each recipient; none sees the others. Raises MailRefused when not all were taken."""
    import aiosmtplib  # here, because only a worker with a mail server needs it

    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.is_tls,
        timeout=TIMEOUT_S,
    )
    try:
        async with client:
            for recipient in recipients:
                message = EmailMessage()
                message["From"] = server.sender
                message["To"] = recipient
                message["Subject"] = subject
                message["Date"] = format_datetime(now)
                message["Message-ID"] = make_msgid(domain=server.sender.partition("@")[2])
                message.set_content(text)
                await client.send_message(message)
    except (aiosmtplib.SMTPException, OSError) as error:
        raise MailRefused(f"{type(error).__name__}: the mail server {server.host} did not take the mail.") from error
