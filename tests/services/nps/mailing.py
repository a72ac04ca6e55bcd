"""What the tests of mails share: who sends, to whom, and what a letter says."""

from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import httpx2

from tests.services.nps.conftest import Desk, Post
from tests.services.nps.mailbox import Mailbox
from tests.services.nps.test_surveys import manager

BRAND = {"name": {"ja": "元気クラウド", "en": "Genki Cloud"}}


async def sending(post: Post, box: Mailbox, **smtp: Any) -> Desk:
    """A new tenant whose mails go to the box."""
    desk = await manager(post)
    await desk.tenant.settings(smtp=box.smtp(**smtp), brand=BRAND)
    return desk


async def invited(desk: Desk, survey: dict[str, Any], *persons: str, **how: Any) -> dict[str, Any]:
    """The answer to an invitation that must be taken; by mail alone, unless told otherwise."""
    body = {"person_ids": persons, "delivery": "mail", **how}
    answer = await desk.client.post(f"/v1/surveys/{survey['survey_id']}/invitations", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def posted(post: Post) -> None:
    """The worker has tried all that is due, and scoring has applied what it said."""
    while await post.mailer.step():
        pass
    await post.house.settle()


async def states(desk: Desk, survey: dict[str, Any]) -> dict[str, tuple[str, list[tuple[str, str | None]]]]:
    """How each person's invitation and its mails stand."""
    answer = await desk.client.get(f"/v1/surveys/{survey['survey_id']}/invitations")
    assert answer.status_code == 200, answer.text
    return {
        one["person_id"]: (one["status"], [(mail["state"], mail["problem"]) for mail in one["mails"]])
        for one in answer.json()["items"]
    }


def body(letter: EmailMessage, kind: str) -> str:
    """The text or HTML of a mail."""
    part = letter.get_body((kind,))
    assert part is not None
    return part.get_content()


class Hrefs(HTMLParser):
    """Every link of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == "href"]


def guest(post: Post) -> httpx2.AsyncClient:
    """Someone without a key."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=post.http), base_url="http://nps")
