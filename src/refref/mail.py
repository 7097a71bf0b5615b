"""Sends plain mail through the server that SMTP_URL names. Knows no recipient's reason and keeps nothing."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from refref.settings import MailServer

TIMEOUT_S = 30
FINAL = 500  # from here on a reply of SMTP is one for good


class MailRefused(Exception):
    """The server could not be reached or did not take the mail. `is_final`: there is no such recipient; else it may be
    sent again."""

    def __init__(self, sentence: str, *, is_final: bool) -> None:
        super().__init__(sentence)
        self.is_final = is_final


async def send_mail(server: MailServer, recipient: str, subject: str, text: str, *, now: datetime) -> None:
    """Send a mail to one person. Raises MailRefused."""
    import aiosmtplib  # here, because only a worker with a mail server needs it

    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.is_tls,
        timeout=TIMEOUT_S,
    )
    message = EmailMessage()
    message["From"] = server.sender
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=server.sender.partition("@")[2])
    message.set_content(text)
    try:
        async with client:
            await client.send_message(message)
    except aiosmtplib.SMTPRecipientsRefused as error:
        is_final = all(refused.code >= FINAL for refused in error.recipients)
        raise MailRefused(f"the mail server {server.host} does not take mail to it.", is_final=is_final) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        sentence = f"{type(error).__name__}: the mail server {server.host} did not take the mail."
        raise MailRefused(sentence, is_final=False) from error
