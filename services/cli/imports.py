"""`genki import`: sheets through the import routes, facts through the events door; both over the running Genki."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from services.cli.door import open_door
from services.cli.report import Refused, note, tell
from services.cli.where import Where

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Exactly one JSON document on stdout.")]
Tenant = Annotated[str, Parameter(name="--tenant", help="The tenant's id.")]
Map = Annotated[tuple[str, ...], Parameter(negative=(), help="column=field; a column may be used twice.")]
Set = Annotated[tuple[str, ...], Parameter(negative=(), help="field=value: the same in every row.")]
Only = Annotated[
    tuple[str, ...],
    Parameter(name="--where", negative=(), help="column=value: only these rows; twice on one column means either."),
]
DryRun = Annotated[bool, Parameter(negative=(), help="Say what would happen, change nothing.")]
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def _sheets(kind: str) -> Callable[..., None]:
    def bring(
        file: Path,
        /,
        *,
        tenant: Tenant,
        map: Map = (),  # noqa: A002 the flag's name
        set: Set = (),  # noqa: A002
        only: Only = (),
        dry_run: DryRun = False,
        where: Where | None = None,
        json: Json = False,
    ) -> None:
        query = [("map", pair) for pair in map] + [("set", pair) for pair in set] + [("where", pair) for pair in only]
        query += [("dry_run", "true")] if dry_run else []
        _told(asyncio.run(_send_sheet(where or Where(), tenant, kind, file, query)), json)

    return bring


accounts, people, contacts = _sheets("accounts"), _sheets("people"), _sheets("contacts")
contracts, responses = _sheets("contracts"), _sheets("responses")


def events(file: Path, /, *, tenant: Tenant, where: Where | None = None, json: Json = False) -> None:
    """Send facts, one JSON object a line; a line without id gets one that a second run repeats."""
    _told(asyncio.run(_send_facts(where or Where(), tenant, file)), json)


def _told(document: dict[str, Any], as_json: bool) -> None:
    if document["accepted"] or not as_json:
        tell(document, as_json, _words(document))
    if not document["accepted"]:
        raise Refused("nothing was accepted", document)


def _words(document: dict[str, Any]) -> str:
    rejected = document["rejected"]
    lines = [f"{document['rows_read']:,} rows read, {document['accepted']:,} accepted"]
    lines += [f"line {one['line']}: {one['reason']} ({one['code']})" for one in rejected[:_SHOWN]]
    lines += [f"and {len(rejected) - _SHOWN:,} more; --json tells all"] if len(rejected) > _SHOWN else []
    return "\n".join([*lines, *document["warnings"]])


_SHOWN: Final = 20  # refused rows told to people


async def _send_sheet(place: Where, tenant: str, kind: str, file: Path, query: Sequence[tuple[str, str]]) -> Any:
    body = await asyncio.to_thread(_read, file)
    media = _XLSX if file.suffix.lower() == ".xlsx" else "text/csv"
    async with open_door(place, tenant) as door, _waiting(f"{file.name}, {len(body) / 1e6:,.1f} MB"):
        return (await door.ask("POST", f"/v1/imports/{kind}", query=query, body=body, kind=media)).document


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise Refused(f"{file}: {problem.strerror}") from problem


async def _send_facts(place: Where, tenant: str, file: Path) -> dict[str, Any]:
    from rich.console import Console

    from services.cli.lines import count_lines, send_lines
    from services.demo.progress import shown

    total = await asyncio.to_thread(count_lines, file)
    async with open_door(place, tenant, "server") as door:
        with shown(Console(stderr=True)) as progress:
            progress.begin(total, 0)
            return await send_lines(door, file, lambda lines: progress.advance("facts", lines))


@asynccontextmanager
async def _waiting(what: str) -> AsyncIterator[None]:
    """Says every second that the answer is waited for."""

    async def say() -> None:
        seconds = 0
        while True:
            await asyncio.sleep(1)
            seconds += 1
            note(f"{what}: {seconds} s")

    speaker = asyncio.create_task(say())
    try:
        yield
    finally:
        speaker.cancel()
