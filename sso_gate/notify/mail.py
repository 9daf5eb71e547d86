"""One letter: written from a template in the reader's language, sent by SMTP."""

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib

from sso_gate.clock import Clock
from sso_gate.errors import Unavailable
from sso_gate.settings import SMTP_PORTS, Settings
from sso_gate.web.language import Wishes
from sso_gate.web.templates import page_text

SECONDS = 15.0
GIVE_UP_AFTER = 120  # attempts, which is five days (RFC 5321 4.5.4.1: four to five at least)


@dataclass(frozen=True, slots=True)
class Letter:
    """To whom, in which language, and what: `template` names a text below `notify/templates`, its first line
    is the subject.
    """

    to: str
    locale: str
    template: str
    context: dict[str, Any]


def plain_text(letter: Letter) -> tuple[str, str]:
    """Return the subject and the text in the reader's language."""
    language = Wishes().choose(saved=letter.locale)
    subject, _, body = page_text(f"notify/{letter.template}.txt", language, **letter.context).partition("\n")
    return subject.strip(), body.strip()


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A PDF that goes with a letter."""

    name: str
    content: bytes


def written(letter: Letter, *, sender: str, clock: Clock, enclosed: Enclosure | None = None) -> EmailMessage:
    """Return the letter as a message; nothing of its context can add a header (the library refuses line breaks)."""
    subject, body = plain_text(letter)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, letter.to, subject
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip("> ") or "localhost")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: nobody's holiday answer comes back
    message.set_content(body + "\n")
    if enclosed:
        message.add_attachment(enclosed.content, maintype="application", subtype="pdf", filename=enclosed.name)
    return message


async def send(letter: Letter, settings: Settings, *, clock: Clock, enclosed: Enclosure | None = None) -> None:
    """Send the letter by SSO_GATE_SMTP_URL.

    Raises:
        Unavailable: the server did not take it; it is worth another try.
    """
    server = urlsplit(settings.smtp_url)
    try:
        await aiosmtplib.send(
            written(letter, sender=settings.mail_from, clock=clock, enclosed=enclosed),
            hostname=server.hostname,
            port=server.port or SMTP_PORTS[server.scheme],
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=server.scheme == "smtps",
            start_tls=True if server.scheme == "smtp+starttls" else None,
            timeout=SECONDS,
        )
    except (aiosmtplib.SMTPException, OSError) as error:
        raise Unavailable(f"mail: {error.__class__.__name__}") from error
