"""What a CS manager wants to see first: `GET /v1/summary` as blocks, each naming the route that has it."""

import shlex
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.demo import words
from services.demo.door import Door
from services.demo.mark import Mark
from shared.clock import zone

WIDTH: Final = 100
Document = dict[str, Any]


def screen() -> Console:
    """Stdout, 100 columns wide where it is no terminal."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH, highlight=False)


async def print_summary(base_url: str, key: str, console: Console) -> None:
    """Asks and prints. `key`: kind api, any role. Raises DemoStopped when it is refused."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        door = Door(session, base_url, key)
        document, settings = await door.ask("/v1/summary"), await door.ask("/v1/settings")
    show(document, zone(settings["time_zone"]), console)


def show(document: Document, tz: ZoneInfo, console: Console) -> None:
    """Prints a summary document, times in the tenant's zone; one without accounts says what to do next."""
    now = words.moment(document["as_of"]).astimezone(tz)
    _heading(console, "Genki", "GET /v1/summary")
    _headline(document, now, console)
    if not sum(document["headline"]["accounts"].values()):
        _nothing_yet(console)
        return
    _bands(document["bands"], console)
    _coverage("Coverage by tier", "tier", document["coverage"]["by_tier"], console)
    _coverage("Coverage by CSM", "csm", document["coverage"]["by_csm"], console)
    _contact_rate(document["contact_rate"], console)
    _call_first(document["call_first"], now, console)
    _nps(document["nps"], console)
    if document.get("rules_off"):
        names = ", ".join(rule if isinstance(rule, str) else rule["rule"] for rule in document["rules_off"])
        console.print(Text(f"\nRules that do not run yet: {names}", style="dim"))


def print_doors(url: str, mark: Mark, console: Console) -> None:
    """Where the sample was moved, the URL, the keys, three curl lines to begin with."""
    _heading(console, "The sample", f"moved {mark.weeks} weeks ahead")
    console.print(Text("\n".join(_of_sample(mark))))
    _heading(console, "Doors", url)
    console.print(Text("\n".join(doors(url, mark))), soft_wrap=True)


def _of_sample(mark: Mark) -> list[str]:
    sent = ", ".join(f"{number:,} {name}" for name, number in mark.sent.items())
    cut, made = (f"{at:%a %Y-%m-%d %H:%M} UTC" for at in (mark.shift.cut, mark.made_at))
    return [
        f"{cut} of the sample became {made}, when this tenant was made.",
        f"Sent {sent}; {mark.refused} refused.",
        f"Left out: {mark.dropped:,} rows that lie later, {mark.skipped} touchpoints of no company.",
        "Real: usage and touchpoints (OpenStack Nova, Apache-2.0). Invented: amounts, CSMs, answers.",
    ]


def doors(url: str, mark: Mark) -> list[str]:
    """Lines for a shell: the keys as variables, then three calls."""
    return [
        f"URL={shlex.quote(url)}  # API and its description: {url}/docs",
        *(f"{name.upper()}={key}" for name, key in mark.keys.items()),
        'curl -H "Authorization: Bearer $ADMIN" "$URL/v1/accounts?band=red&sort=-acv&limit=5"',
        'curl -H "Authorization: Bearer $ADMIN" "$URL/v1/accounts/redhat.com/health"',
        'curl -u "$WRITE:" "$URL/v1/track" -d \'{"userId":"me","event":"hi","context":{"groupId":"redhat.com"}}\'',
    ]


def _heading(console: Console, title: str, route: str) -> None:
    line = Text.assemble("\n", (title, "bold"), "  ", (route, "dim cyan"))
    console.print(line)


def _table(*columns: tuple[str, str], **options: Any) -> Table:
    """A table of (header, justify) columns; text never wraps, too long ends in an ellipsis."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", **options)
    for header, justify in columns:
        table.add_column(header, justify="right" if justify == "right" else "left", no_wrap=True, overflow="ellipsis")
    return table


def _print(console: Console, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    console.print(table)


def _headline(document: Document, now: datetime, console: Console) -> None:
    headline, accounts = document["headline"], document["headline"]["accounts"]
    kinds = " · ".join(f"{words.count(accounts.get(kind))} {kind}" for kind in ("onboarding", "active", "churned"))
    rejected = headline.get("rejected_24h")
    console.print(Text(f"accounts    {kinds}"))
    console.print(Text(f"ACV         {words.money(headline['acv'])} {headline['currency']}"))
    console.print(
        Text(
            f"facts       newest {words.age(headline['newest_fact_age_s'])} old · "
            f"{words.count(rejected)} rejected in 24 h · {words.count(headline['unassigned'])} unassigned"
        )
    )
    held = ""
    if document.get("fresh_to"):
        fresh = words.moment(document["fresh_to"]).astimezone(now.tzinfo)
        held = f" · holds every fact accepted up to {fresh:%H:%M:%S}"
    console.print(Text(f"as of       {now:%Y-%m-%d %H:%M:%S %Z}{held}"))


def _nothing_yet(console: Console) -> None:
    console.print(
        Text(
            "\nNothing here yet. Next:\n"
            '  1. send a fact:     POST /v1/events  {"type":"usage","at":…,"account_id":…,"person_id":…,"event":…}\n'
            "                      or point a Segment or RudderStack library at this URL with the write key\n"
            '  2. tell who it is:  POST /v1/events  {"type":"account","account_id":…,"at":…,"name":…,"acv":…}\n'
            "  3. look again:      GET /v1/summary; every route is described at /docs"
        )
    )


def _bands(bands: list[Document], console: Console) -> None:
    _heading(console, "Health", "GET /v1/accounts?band=red")
    table = _table(("band", ""), ("accounts", "right"), ("share", "right"), ("ACV", "right"),
                   ("in 7 d", "right"), ("out 7 d", "right"))  # fmt: skip
    rows = (
        (words.band(row["band"]), words.count(row["accounts"]), words.percent(row["share"]), words.money(row["acv"]),
         words.count(row.get("moved_in_7d")), words.count(row.get("moved_out_7d")))
        for row in bands
    )  # fmt: skip
    _print(console, table, rows)


def _coverage(title: str, by: str, groups: list[Document], console: Console) -> None:
    _heading(console, title, f"GET /v1/coverage?by={by}")
    table = _table((by, ""), ("eligible", "right"), ("covered", "right"), ("rate", "right"), ("target", "right"),
                   ("window", ""), ("shortfall", "right"), ("due in 14 d", "right"))  # fmt: skip
    rows = (
        (row.get("name") or row["key"] or "nobody", words.count(row["eligible"]), words.count(row["covered"]),
         words.percent(row["rate"]), words.percent(row["target"]), row.get("window") or words.DASH,
         words.count(row["shortfall"]), words.count(row.get("due_14d")))
        for row in groups
    )  # fmt: skip
    _print(console, table, rows)


def _contact_rate(rate: Document, console: Console) -> None:
    _heading(console, "Contact rate", "GET /v1/contact-rate")
    met, used = rate["contacted"], rate["accounts_in_use"]
    console.print(Text(f"{words.percent(rate['rate'])}: {met} of {used} accounts in use were ever contacted"))


def _call_first(calls: list[Document], now: datetime, console: Console) -> None:
    _heading(console, "Call first", "GET /v1/accounts (needs_action)")
    if not calls:
        console.print(Text("nobody: no rule fired"))
        return
    table = _table(("account", ""), ("CSM", ""), ("ACV", "right"), ("health", "right"), ("28 d", "right"),
                   ("contact", "right"), ("why", ""), width=min(console.width, WIDTH + 20))  # fmt: skip
    for column, width in ((0, 18), (1, 13)):
        table.columns[column].max_width = width
    table.columns[6].no_wrap, table.columns[6].overflow, table.columns[6].ratio = False, "fold", 1
    rows = (
        (row["name"] or row["account_id"], row.get("csm_name") or row["csm_id"] or "nobody", words.money(row["acv"]),
         words.band(row["band"], words.score(row["score"])), words.signed(row["change_28d"]),
         words.days_ago(row["last_contact"], now), _why(row))
        for row in calls
    )  # fmt: skip
    _print(console, table, rows)


def _why(row: Document) -> Text:
    """The reason, and below it something to begin the call with."""
    point = row.get("talking_point")
    return Text.assemble(row["reason"] or words.DASH, (f"\n→ {point}", "dim") if point else "")


def _nps(nps: Document, console: Console) -> None:
    _heading(console, "NPS, 90 days", "GET /v1/nps")
    if nps["nps"] is None:
        console.print(Text("no scored answer yet: POST /v1/imports/responses"))
        return
    low, high = nps["interval"]
    console.print(
        Text(
            f"{nps['nps']:+.0f}  (95 %: {low:+.0f} to {high:+.0f}) from {nps['n']} people · response rate "
            f"{words.percent(nps['response_rate'])} · open follow-ups {words.count(nps.get('open_follow_ups'))}"
        )
    )
