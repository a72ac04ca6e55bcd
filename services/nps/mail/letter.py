"""What an invitation's mail says: text and HTML, in Japanese, English or both, a button for every score."""

from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.nps.domain.surveys import QUESTION
from services.nps.links import SURVEY, UNSUBSCRIBE, Links
from services.nps.mail.senders import Sender
from services.nps.mail.words import SUBJECT, WORDS, until

LANGUAGES: Final = {"both": ("ja", "en"), "ja": ("ja",), "en": ("en",)}
_HOME: Final = Path(__file__).parent / "templates"
_templates: Final = Environment(
    loader=FileSystemLoader(_HOME, encoding="utf-8"),
    autoescape=select_autoescape(("html",), default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def letter(sender: Sender, row: Mapping[str, Any], links: Links, now: datetime, tz: ZoneInfo) -> bytes:
    """The mail as it goes over the wire; its id stays the same however often it is tried. `row`: the mail with its
    invitation and survey. Raises ValueError for an address or a name that no header takes."""
    languages, number = LANGUAGES[row["language"]], row["number"]
    brand = {lang: " ".join(sender.brand[lang].split()) for lang in languages}
    message = EmailMessage(SMTPUTF8 if not (row["email"] + sender.address).isascii() else SMTP)
    message["From"] = _from(sender, brand[languages[0]])
    message["To"] = Address(addr_spec=row["email"])
    message["Subject"] = " / ".join(SUBJECT[lang](brand[lang], again=number > 0) for lang in languages)
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"
    told = _told(languages, brand, row, links, tz)
    message.set_content(_templates.get_template("mail.txt").render(told))
    message.add_alternative(_templates.get_template("mail.html").render(told), subtype="html")
    message["Content-Language"] = ", ".join(languages)
    return _unfolded(sender, row, links) + message.as_bytes()


def _told(
    languages: tuple[str, ...], brand: Mapping[str, str], row: Mapping[str, Any], links: Links, tz: ZoneInfo
) -> dict[str, Any]:
    question = row["question"] or QUESTION
    link, only = links.addresses[SURVEY], f"&lang={languages[0]}" if len(languages) == 1 else ""
    return {
        "languages": languages,
        "words": WORDS,
        "brand": brand,
        "question": question,
        "again": row["number"] > 0,
        "until": {lang: until(lang, row["closes_at"], tz) for lang in languages},
        "scores": [(score, f"{link}?score={score}{only}") for score in range(11)],
        "link": link + only.replace("&", "?"),
        "goodbye": links.addresses[UNSUBSCRIBE] + only.replace("&", "?"),
    }


def _from(sender: Sender, brand: str) -> Address:
    name, address = parseaddr(sender.address)
    return Address(display_name=name or brand, addr_spec=address)


def _unfolded(sender: Sender, row: Mapping[str, Any], links: Links) -> bytes:
    """Headers that the library would break or encode once they are long: RFC 5322 takes 998 characters a line."""
    domain = parseaddr(sender.address)[1].rpartition("@")[2].encode("idna").decode()
    lines = (
        f"Message-ID: <{row['invitation_id']}.{row['number']}@{domain}>",
        f"List-Unsubscribe: <{links.addresses[UNSUBSCRIBE]}>",  # RFC 2369, and RFC 8058 with the next
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    )
    if not all(line.isascii() and line.isprintable() and len(line) < 998 for line in lines):
        raise ValueError("a link that no header takes")
    return "".join(f"{line}\r\n" for line in lines).encode()
