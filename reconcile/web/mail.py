"""Tell somebody by mail what happened: the same as over HTTP, in words."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from reconcile.flows.notify import Notice, NotTold

#: For the connection, and for each answer of the server.
SECONDS = 15.0

_EVENTS = {
    "hold": "A study is held",
    "message": "A message is held",
    "review": "Something wants your eye",
    "study-received": "A study was received",
    "study-changed": "A stored study has changed",
}


@dataclass(frozen=True, slots=True)
class Server:
    """The mail server that takes our mail, and who we are to it."""

    host: str
    port: int
    sender: str
    starttls: bool = True
    user: str = ""
    password_file: str = ""


def mail(server: Server, recipient: str) -> Callable[[Notice], None]:
    """What writes to this recipient; the password is read anew each time."""

    def send(notice: Notice) -> None:
        message = letter(notice, server.sender, recipient)
        try:
            _hand_over(server, message)
        except smtplib.SMTPResponseException as error:
            why = f"the mail server answered {error.smtp_code}"
            raise NotTold(why, away=isinstance(error, smtplib.SMTPConnectError)) from None
        except smtplib.SMTPRecipientsRefused:
            raise NotTold("the mail server refused the recipient", away=False) from None
        except (OSError, ValueError) as error:
            why = f"no answer of the mail server: {type(error).__name__}"
            raise NotTold(why, away=True) from None

    return send


def letter(notice: Notice, sender: str, recipient: str) -> EmailMessage:
    """A notice as a mail; sent twice, it has the same Message-ID."""
    message = EmailMessage()
    message["From"], message["To"] = sender, recipient
    what = _EVENTS.get(notice.event, notice.event)
    message["Subject"] = f"reconcile: {what}{f' ({notice.code})' if notice.code else ''}"
    message["Date"] = format_datetime(notice.told_at)
    message["Message-ID"] = f"<{notice.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join((f"{what}.", "", *_lines(notice), "")))
    return message


def _lines(notice: Notice) -> Iterator[str]:
    if notice.item:
        again = f", told for the {notice.repetition + 1}. time" if notice.repetition else ""
        yield f"Code:      {notice.code}"
        yield f"Open for:  {notice.age_minutes} minutes{again}"
        yield f"Item:      {notice.item}"
    if notice.study_instance_uid:
        yield f"Study:     {notice.study_instance_uid}"
    if notice.instances is not None:
        yield f"Instances: {notice.instances}"
    if notice.happening:
        yield f"Happening: {notice.happening}"
    yield f"Look at:   {notice.link}"
    yield f"Told by:   [[notify]] {notice.target}, notification {notice.id}"


def _hand_over(server: Server, message: EmailMessage) -> None:
    # By its own name as it knows it: nobody is asked for a longer one.
    us, password = socket.gethostname(), _password(server)
    with smtplib.SMTP(server.host, server.port, us, timeout=SECONDS) as session:
        if server.starttls:
            session.starttls(context=ssl.create_default_context())
        if server.user:
            session.login(server.user, password)
        session.send_message(message)


def _password(server: Server) -> str:
    if not server.user:
        return ""
    try:
        return Path(server.password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise NotTold(
            "the password for the mail server cannot be read", away=True
        ) from None
