"""Owners' news in a chat: an incoming webhook that takes `{"text": …}`, as Slack, Mattermost and Rocket.Chat have it.

Its address is a secret: it is kept sealed, and only its host is ever shown.
"""

import json
import logging

from sqlalchemy import Connection, delete, insert, select

from sso_gate.errors import Refused, Unavailable
from sso_gate.notify.mail import Letter, plain_text
from sso_gate.notify.streams_delivery import Outgoing
from sso_gate.storage.keyring import Keyring
from sso_gate.storage.outbox import Promise
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import notification_chat

CHAT = "mail.chat"
GIVE_UP_AFTER = 12  # attempts, which is most of a day
_GONE = frozenset({403, 404, 410})
_log = logging.getLogger(__name__)


def chat_url(tx: Connection, keyring: Keyring, organization: str) -> str:
    """Return where the organization's chat takes messages, or an empty text."""
    query = select(notification_chat.c.sealed_url).where(notification_chat.c.organization == organization)
    sealed = tx.execute(query).scalar_one_or_none()
    return keyring.unseal(sealed) if sealed else ""


def save_chat_url(tx: Connection, keyring: Keyring, organization: str, url: str) -> None:
    """Keep the address instead of the one before; an empty one keeps none."""
    tx.execute(delete(notification_chat).where(notification_chat.c.organization == organization))
    if url:
        tx.execute(insert(notification_chat).values(organization=organization, sealed_url=keyring.seal(url)))


def chat_body(letter: Letter) -> bytes:
    """Return the message as the chat takes it; nothing in it becomes a link or a mention of somebody."""
    subject, body = plain_text(letter)
    text = f"*{_escaped(subject)}*\n{_escaped(body)}"
    return json.dumps({"text": text}).encode("ascii")


async def post_to_chat(runtime: Runtime, outgoing: Outgoing, promise: Promise) -> None:
    """Send the letter that a promise holds to the organization's chat.

    Raises:
        Unavailable: it was not taken, and is worth another try.
    """
    url = await runtime.database.read(lambda tx: chat_url(tx, runtime.keyring, promise.organization))
    if not url:
        return
    try:
        status = await outgoing.post(url, chat_body(Letter(**promise.payload)), {})
    except Refused as refused:
        status, problem = 0, str(refused)
    else:
        problem = f"answered with {status}"
    if 200 <= status < 300:
        return
    if status in _GONE or promise.attempts >= GIVE_UP_AFTER:
        _log.warning("chat of %s: %s, given up", promise.organization, problem)
        return
    raise Unavailable(f"chat: {problem}")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
