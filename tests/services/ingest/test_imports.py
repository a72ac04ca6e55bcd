"""`POST /v1/imports/{accounts,people,contacts,contracts}`: what a sheet's rows become on the log, and what it says."""

import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import openpyxl
import pytest

from services.ingest.settings import IngestSettings
from shared.clock import from_micros
from shared.facts import UNSET, Account, AnyFact, Contact, Contract, Person
from tests.conftest import TestDatabase
from tests.services.ingest.conftest import House, opened

Query = Sequence[tuple[str, str]]


@pytest.fixture(scope="module")
async def desk(database: TestDatabase) -> AsyncIterator[House]:
    """ingest with a tenant in Tokyo that reports in JPY and one that reports in USD, under small limits."""
    async with opened(database, IngestSettings(import_bytes=300_000, import_rows=6_000)) as house:
        await house.add_tenant("yen")
        await house.add_tenant("dollars")
        await house.owner.execute("UPDATE access.tenant SET currency = 'USD' WHERE tenant = $1", house.tenants[1])
        yield house


async def send(
    desk: House, kind: str, body: bytes | str, query: Query | None = None, **options: Any
) -> httpx2.Response:
    key = desk.key(options.get("key", "server"), options.get("tenant", 0))
    content = body.encode() if isinstance(body, str) else body
    return await desk.client.post(f"/v1/imports/{kind}", content=content, params=[*(query or [])], headers=key)


async def bring(desk: House, kind: str, body: bytes | str, query: Query | None = None, tenant: int = 0) -> Any:
    answer = await send(desk, kind, body, query, tenant=tenant)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def facts_of(desk: House, kind: str, body: bytes | str, query: Query | None = None) -> list[Any]:
    """The facts that a file of which every row must be taken puts on the log, by account or person."""
    await desk.new_facts()
    told = await bring(desk, kind, body, query)
    assert told["rejected"] == []
    return sorted(await desk.new_facts(), key=_subject)


def _subject(fact: AnyFact) -> str:
    return fact.person_id if isinstance(fact, Person) else getattr(fact, "account_id", "")


async def test_an_accounts_cells_are_its_fields_and_empty_ones_are_not_told(desk: House) -> None:
    [fact, bare] = await facts_of(
        desk,
        "accounts",
        "Account ID,at,name,status,customer_since,acv,seats,features,parent-id,renewal_on,mrr,code\n"
        "acme,2023-05-01,アクメ,Active,2022/4/1,\"1,200,000\",25.0,a; b,holding,2026-03-31 00:00,99.5,007\n"
        "bare,2023-05-01T08:00:00-05:00,,,,,,,,,,\n",
        [("map", "mrr=traits.mrr"), ("map", "code=traits.code"), ("set", "plan=pro")],
    )  # fmt: skip
    assert isinstance(fact, Account)
    assert from_micros(fact.at) == datetime(2023, 5, 1, 3, tzinfo=UTC)  # noon in Tokyo
    told = (fact.name, fact.status, fact.customer_since, fact.acv, fact.currency, fact.seats, fact.features)
    assert told == ("アクメ", "active", "2022-04-01", "1200000", "JPY", 25, ["a", "b"])
    assert (fact.parent_id, fact.renewal_on, fact.plan) == ("holding", "2026-03-31", "pro")
    assert fact.traits == {"mrr": 99.5, "code": "007"}
    assert isinstance(bare, Account)
    assert from_micros(bare.at) == datetime(2023, 5, 1, 13, tzinfo=UTC)
    assert (bare.name, bare.acv, bare.traits, bare.plan) == (UNSET, UNSET, UNSET, "pro")


async def test_people_contacts_and_contracts_have_their_fields_too(desk: House) -> None:
    [person] = await facts_of(
        desk,
        "people",
        "person_id,account_id,email,uses_product,deactivated,at\nana,acme,a@x.jp,はい,FALSE,2023-01-01\n",
    )
    assert isinstance(person, Person)
    assert (person.account_id, person.email, person.uses_product, person.deactivated) == ("acme", "a@x.jp", True, False)
    contacts = await facts_of(
        desk,
        "contacts",
        "id,account_id,at,channel,outcome,person_ids,account_ids,note\n"
        'k1,a,2023-01-01 09:00,Phone,No answer,ana;ben,,"two\nlines"\n'
        "k2,b,2023-01-01 09:00,tech_touch,reached,,c; d,\n",
    )
    assert all(isinstance(one, Contact) for one in contacts)
    assert [one.id for one in contacts] == ["k1", "k2#b", "k2#c", "k2#d"]
    first = contacts[0]
    assert (first.channel, first.outcome, first.person_ids, first.note) == (
        "phone", "no_answer", ["ana", "ben"], "two\nlines",
    )  # fmt: skip
    [contract] = await facts_of(
        desk, "contracts", "account_id,effective_on,change,acv_after,term_end\na,2023年4月1日,NEW,１２００,9999-12-31\n"
    )
    assert isinstance(contract, Contract)
    assert (contract.contract_id, contract.effective_on, contract.acv_after, contract.term_end) == (
        "default", "2023-04-01", "1200", "9999-12-31",
    )  # fmt: skip


async def test_one_bad_row_never_stops_the_rest_and_codes_are_those_of_the_events_door(desk: House) -> None:
    await desk.new_facts()
    told = await bring(
        desk,
        "contacts",
        "account_id,at,channel,outcome,id,recorded_at,csm_id,note\n"
        "a,2023-01-01,phone,reached,,,,\n"
        ",2023-01-01,phone,reached,,,,\n"
        "null,2023-01-01,phone,reached,,,,\n"
        "a,,phone,reached,,,,\n"
        "a,soon,phone,reached,,,,\n"
        "a,1899-12-31,phone,reached,,,,\n"
        "\n"
        "a,2099-01-01,phone,reached,,,,\n"
        "a,2023-01-01,fax,reached,,,,\n"
        "a,2023-01-01,phone,shouted,,,,\n"
        f"a,2023-01-01,phone,reached,{'x' * 101},,,\n"
        "a,2023-01-01,phone,reached,a#b,,,\n"
        "a,2023-01-01,phone,reached,,2099-01-01,,\n"
        f"{'a' * 201},2023-01-01,phone,reached,,,,\n"
        f"a,2023-01-01,phone,reached,,,,{'n' * 33_000}\n"
        "a,2023-01-01,phone,reached,,,,,extra\n"
        "a,2023-01-01,phone,reached,,,c\0,\n"
        f"a,{date.today() + timedelta(days=300)},phone,planned,,,,\n",  # noqa: DTZ011 months away
    )
    assert [(one["line"], one["code"]) for one in told["rejected"]] == [
        (3, "missing_field"), (4, "junk_id"), (5, "missing_field"), (6, "invalid_at"), (7, "invalid_at"),
        (9, "in_future"), (10, "invalid_channel"), (11, "invalid_outcome"), (12, "invalid_id"), (13, "junk_id"),
        (14, "in_future"), (15, "invalid_account_id"), (16, "too_large"), (17, "unreadable_row"),
        (18, "invalid_csm_id"),
    ]  # fmt: skip
    assert (told["rows_read"], told["accepted"]) == (17, 2)
    assert told["rejected"][0] == {"line": 3, "reason": "account_id is missing", "code": "missing_field"}
    assert [fact.id.startswith("import-") for fact in await desk.new_facts()] == [True, True]


async def test_money_is_in_the_tenants_currency_or_one_that_has_a_rate(desk: House) -> None:
    header = "account_id,effective_on,change,acv_after,currency\n"
    rows = "a,2023-01-01,new,10.50,\na,2023-01-01,new,10,USD\na,2023-01-01,new,10,JPY\na,2023-01-01,churn,5,\n"
    yen, dollars = [await bring(desk, "contracts", header + rows, tenant=tenant) for tenant in (0, 1)]
    assert [(one["line"], one["code"]) for one in yen["rejected"]] == [
        (2, "invalid_acv_after"), (3, "currency_not_reporting"), (5, "invalid_acv_after"),
    ]  # fmt: skip
    assert [(one["line"], one["code"]) for one in dollars["rejected"]] == [
        (4, "currency_not_reporting"), (5, "invalid_acv_after"),
    ]  # fmt: skip


async def test_the_same_file_again_is_the_same_facts_and_equal_rows_are_each_their_own(desk: House) -> None:
    file = "account_id,at,channel,outcome\n" + "a,2023-01-01,phone,reached\n" * 3 + "a,2023-01-02,phone,reached\n"
    first = await facts_of(desk, "contacts", file)
    again = await facts_of(desk, "contacts", file.replace("2023-01-01", "2023/1/1 12:00").replace(",", ";"))
    assert [(one.id, one.hash, one.at) for one in again] == [(one.id, one.hash, one.at) for one in first]
    assert len({one.id for one in first}) == 4
    set_ = await facts_of(desk, "contacts", file, [("set", "playbook=qbr")])
    assert not {one.id for one in set_} & {one.id for one in first}


@pytest.mark.parametrize(("kind", "name"), [("accounts", "account_id"), ("people", "person_id")])
async def test_without_at_now_is_meant_and_the_same_file_is_still_no_news_and_no_conflict(
    desk: House, kind: str, name: str
) -> None:
    before = datetime.now(UTC)
    first = await facts_of(desk, kind, f"{name},name,id\nx,X,\ny,Y,given\n")
    again = await facts_of(desk, kind, f"{name},name,id\nx,X,\ny,Y,given\n")
    assert [(one.id, one.hash) for one in again] == [(one.id, one.hash) for one in first]
    assert [again[0].id[:7], again[1].id] == ["import-", "given"]
    assert all(before <= from_micros(one.at) <= datetime.now(UTC) for one in first)
    changed = await facts_of(desk, kind, f"{name},name,id\nx,Z,\ny,Z,given\n")
    assert (changed[0].id != first[0].id, changed[1].id, changed[1].hash != first[1].hash) == (True, "given", True)


async def test_a_dry_run_says_the_same_and_puts_nothing_on_the_log(desk: House) -> None:
    file = "account_id,at\na,2023-01-01\nb,never\n"
    await desk.new_facts()
    dry = await bring(desk, "accounts", file, [("dry_run", "true")])
    assert await desk.new_facts() == []
    assert await bring(desk, "accounts", file, [("dry_run", "false")]) == dry
    assert len(await desk.new_facts()) == 1


async def test_a_workbook_is_taken_too(desk: House) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Company", "From", "Amount"])
    sheet.append([12345, date(2023, 4, 1), 1200.0])
    sheet.append(["acme", datetime(2023, 4, 2, 15, 30), "1,300"])  # noqa: DTZ001 cells have no zone
    file = io.BytesIO()
    book.save(file)
    query = [("map", "Company=account_id"), ("map", "From=effective_on"), ("map", "Amount=acv_after")]
    taken = await facts_of(desk, "contracts", file.getvalue(), [*query, ("set", "change=new")])
    assert [(one.account_id, one.effective_on, one.acv_after) for one in taken] == [
        ("12345", "2023-04-01", "1200"), ("acme", "2023-04-02", "1300"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body", "query", "status", "code"),
    [
        ("accounts", b"", [], 400, "not_a_sheet"),
        ("accounts", b"PK\x03\x04 no workbook", [], 400, "not_a_sheet"),
        ("csms", b"csm_id\nx\n", [], 404, "not_found"),
        ("contacts", b"account_id,at,channel\n", [], 422, "missing_field"),
        ("accounts", b"account_id,x\n", [("map", "x=traits")], 422, "unknown_field"),
        ("accounts", b"account_id,x\n", [("map", "x=traits.")], 422, "unknown_field"),
        ("people", b"person_id,x\n", [("map", "x=traits.y")], 422, "unknown_field"),
        ("accounts", b"account_id,x\n", [("map", "x=traits.y"), ("set", "traits.y=1")], 422, "field_twice"),
        ("accounts", b"account_id\n", [("where", "stage=Won")], 422, "unknown_column"),
        ("accounts", b"account_id\n", [("dry_run", "perhaps")], 422, "not_a_flag"),
        ("accounts", b"account_id\n" + b"a\n" * 6_001, [], 413, "too_large"),
        ("accounts", b"account_id\n" + b"a" * 300_000, [], 413, "too_large"),
    ],
)  # fmt: skip
async def test_what_is_no_such_file_is_refused_whole(
    desk: House, kind: str, body: bytes, query: Query, status: int, code: str
) -> None:
    answer = await send(desk, kind, body, query)
    problem = answer.json()
    told = problem["errors"][0]["code"] if problem["errors"] else problem["code"]
    assert (answer.status_code, told) == (status, code)


@pytest.mark.parametrize(("kind", "status"), [("server", 200), ("admin", 200), ("viewer", 403), ("write", 403)])
async def test_server_keys_and_admins_import(desk: House, kind: str, status: int) -> None:
    assert (await send(desk, "people", "person_id\np\n", key=kind)).status_code == status


DEALS = "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n"
DEAL_QUERY = [
    ("map", "opportunity_id=contract_id"), ("map", "opportunity_id=id"), ("map", "account=account_id"),
    ("map", "close_date=effective_on"), ("map", "close_value=acv_after"), ("set", "change=new"),
]  # fmt: skip


def deals() -> str:
    """A CRM's deals, a tenth as many and with the same dirt: open ones without account, date and value; lost ones."""
    rows: list[str] = []
    for n in range(880):
        agent, product = f"Agent {n % 30}", ("GTXPro", "GTX Pro")[n % 2]
        if n < 424:
            rows.append(f"W{n},{agent},{product},Company {n % 85},Won,2016-10-20,2017-03-01,{n + 50}")
        elif n < 671:
            rows.append(f"L{n},{agent},{product},Company {n % 85},Lost,2016-10-20,2017-03-01,0")
        else:
            account = "" if n < 813 else f"Company {n % 85}"
            rows.append(f"O{n},{agent},{product},{account},{'Engaging' if n % 3 else 'Prospecting'},2016-10-20,,")
    return DEALS + "\n".join(rows) + "\n"


async def test_a_crms_won_deals_are_contracts_and_its_open_ones_are_refused_row_by_row(desk: House) -> None:
    await desk.new_facts()
    won = await bring(desk, "contracts", deals(), [*DEAL_QUERY, ("where", "deal_stage=Won")], tenant=1)
    assert (won["rows_read"], won["accepted"], won["rejected"]) == (424, 424, [])
    assert won["warnings"] == ["columns not used: sales_agent, product, engage_date"]
    facts = await desk.new_facts()
    assert sum(int(float(fact.acv_after)) for fact in facts if isinstance(fact, Contract)) == sum(range(50, 474))
    assert {(fact.change, fact.currency) for fact in facts if isinstance(fact, Contract)} == {("new", "USD")}
    every = await bring(desk, "contracts", deals(), DEAL_QUERY, tenant=1)
    reasons = [one["reason"] for one in every["rejected"]]
    assert (every["rows_read"], every["accepted"], len(reasons)) == (880, 671, 209)
    assert {reason: reasons.count(reason) for reason in set(reasons)} == {
        "account_id is missing": 142, "effective_on is missing": 67,
    }  # fmt: skip
    assert [one["line"] for one in every["rejected"]] == list(range(673, 882))


async def test_a_crms_accounts_keep_their_dirt_and_their_subsidiaries(desk: House) -> None:
    file = (
        "account,sector,year_established,revenue,employees,office_location,subsidiary_of\n"
        "Acme Corporation,technolgy,1996,1100.04,2822,United States,\n"
        "Bluth Company,technolgy,1993,1242.32,3027,United States,Acme Corporation\n"
    )
    columns = {"account": "name", "sector": "industry", "employees": "traits.employees", "revenue": "traits.revenue"}
    query = [("map", f"{column}={field}") for column, field in columns.items()]
    query += [("map", "account=account_id"), ("map", "subsidiary_of=parent_id")]
    taken = await facts_of(desk, "accounts", file, query)
    assert [(one.account_id, one.name, one.industry, one.parent_id, one.traits) for one in taken] == [
        ("Acme Corporation", "Acme Corporation", "technolgy", UNSET, {"employees": 2822, "revenue": 1100.04}),
        ("Bluth Company", "Bluth Company", "technolgy", "Acme Corporation", {"employees": 3027, "revenue": 1242.32}),
    ]  # fmt: skip
