"""`POST /v1/imports/responses`, from the file to the figures."""

import io
from datetime import UTC, date, datetime, timedelta

import openpyxl
import pytest

from tests.services.nps.conftest import Desk, Post
from tests.services.scoring.builders import TODAY, at

HEADER = "at,account_id,person_id,score,comment,survey,response_id\n"
FULL = HEADER + "2026-06-01,acme,ana,9,とても良い,Spring,\n2026-06-02 09:30,acme,ben,3,,Spring,\n"


async def test_rows_become_answers_in_the_accounts_health_and_in_every_figure(post: Post):
    desk = await post.desk()
    await desk.tenant.tell(desk.tenant.account("acme", at(TODAY - timedelta(days=40)), name="Acme"))
    told = await desk.bring(FULL)
    assert told == {"rows_read": 2, "accepted": 2, "rejected": [], "warnings": ["new survey: Spring"]}
    health = await desk.tenant.get("/v1/accounts/acme/health")
    sentiment = next(one for one in health["dimensions"] if one["name"] == "sentiment")
    # ages 14 and 13 days: (9·166 + 3·167) / 333 = 5.99…, on the curve 0→0 6→30
    assert sentiment["value"] == pytest.approx((9 * 166 + 3 * 167) / 333 * 5)
    figure = await desk.tenant.get("/v1/nps?by=account")
    assert (figure["n"], figure["nps"], figure["groups"][0]["name"]) == (2, 0, "Acme")
    [survey] = (await (await post.door(desk.tenant, "api", "viewer")).get("/v1/surveys")).json()["items"]
    assert (survey["name"], survey["kind"]) == ("Spring", "relationship")
    assert [group["key"] for group in (await desk.tenant.get("/v1/nps?by=survey"))["groups"]] == [survey["survey_id"]]
    listed = (await desk.tenant.get("/v1/responses"))["items"]
    assert [(one["score"], one["comment"]) for one in listed] == [(3, None), (9, "とても良い")]


async def test_a_naive_time_is_in_the_tenants_zone_and_a_date_alone_is_noon_there(post: Post):
    desk = await post.desk("America/New_York")
    await desk.bring(
        "at,person_id\n2026-01-15,a\n2026-06-01T09:30,b\n2026/6/2 9:05:07,c\n2026-06-03T00:00:00+09:00,d\n"
        "2026-06-03T00:00:00.5Z,e\n2026年6月4日,f\n"
    )
    assert await desk.stored(["person_id", "at"]) == [
        ("a", datetime(2026, 1, 15, 17, tzinfo=UTC)),
        ("b", datetime(2026, 6, 1, 13, 30, tzinfo=UTC)),
        ("c", datetime(2026, 6, 2, 13, 5, 7, tzinfo=UTC)),
        ("d", datetime(2026, 6, 2, 15, tzinfo=UTC)),
        ("e", datetime(2026, 6, 3, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("f", datetime(2026, 6, 4, 16, tzinfo=UTC)),
    ]


async def test_one_bad_row_never_stops_the_rest(post: Post):
    desk = await post.desk()
    told = await desk.bring(
        HEADER
        + "2026-06-01,acme,p1,10,,,\n"
        + ",acme,p2,10,,,\n"
        + "yesterday,acme,p3,10,,,\n"
        + "2026-02-30,acme,p4,10,,,\n"
        + "2026-06-01,acme,p5,11,,,\n"
        + "\n"
        + "2026-06-01,acme,p6,9.5,,,\n"
        + "2026-06-01,acme,p7,ten,,,\n"
        + "2026-06-01,acme,p8,-1,,,\n"
        + '2026-06-01,acme,p9,9.0,"two\nlines",,\n'
        + "2027-06-01,acme,p10,9,,,\n"
        + "1899-12-31,acme,p11,9,,,\n"
        + "2026-06-01,null,p12,9,,,\n"
        + "2026-06-01,acme,a#b,9,,,\n"
        + "2026-06-01,acme,p13,9,a,b,c,d\n"
        + "2026-06-01,acme,p14,,no score,,\n"
    )
    assert [(one["line"], one["code"]) for one in told["rejected"]] == [
        (3, "missing_at"),
        (4, "invalid_at"),
        (5, "invalid_at"),
        (6, "invalid_score"),
        (8, "invalid_score"),
        (9, "invalid_score"),
        (10, "invalid_score"),
        (13, "in_future"),
        (14, "invalid_at"),
        (15, "junk_id"),
        (16, "junk_id"),
        (17, "unreadable_row"),
    ]
    assert (told["rows_read"], told["accepted"]) == (15, 3)
    assert sorted(await desk.stored(["person_id", "score", "comment"])) == [
        ("p1", 10, None),
        ("p14", None, "no score"),
        ("p9", 9, "two\nlines"),
    ]


async def test_the_same_file_twice_changes_nothing_but_equal_rows_count_each(post: Post):
    desk = await post.desk()
    file = "at,account_id,score\n" + "2026-06-01,acme,9\n" * 3 + "2026-06-01,acme,2\n"
    for _ in range(3):
        assert (await desk.bring(file))["accepted"] == 4
    assert (await desk.tenant.get("/v1/nps"))["n"] == 4
    await desk.bring("at,account_id,score\n" + "2026-06-01,acme,9\n" * 4)
    assert (await desk.tenant.get("/v1/nps"))["n"] == 5
    assert (await desk.tenant.get("/v1/ingest/conflicts"))["total"] == 0


async def test_a_response_id_makes_a_later_row_an_edit(post: Post):
    desk = await post.desk()
    await desk.bring("at,person_id,score,response_id\n2026-06-01,ana,9,r1\n2026-06-01,ana,9,r1\n")
    await desk.bring("at,person_id,score,response_id\n2026-06-05,ana,2,r1\n")
    assert await desk.stored(["response_id", "score"]) == [("r1", 9), ("r1", 2)]
    assert (await desk.tenant.get("/v1/nps"))["detractors"] == 1
    assert (await desk.tenant.get("/v1/nps?as_of=2026-06-02"))["promoters"] == 1


async def test_columns_are_mapped_set_and_filtered(post: Post):
    desk = await post.desk()
    told = await desk.bring(
        "When;Company;Mail;NPS (0=10);Kind;Note\n"
        "2026-06-01;acme;a@x.jp;9;nps;hi\n2026-06-01;acme;b@x.jp;9;csat;\n2026-06-01;beta;c@x.jp;1;ces;\n",
        ("map", "When=at"),
        ("map", "Company=account_id"),
        ("map", "mail=person_id"),
        ("map", "Mail=comment"),
        ("map", "NPS (0=10)=score"),
        ("set", "survey=2026 = Q2"),
        ("where", "Kind=nps"),
        ("where", "Kind=ces"),
    )
    assert told == {
        "rows_read": 2,
        "accepted": 2,
        "rejected": [],
        "warnings": ["columns not used: Note", "new survey: 2026 = Q2"],
    }
    assert sorted(await desk.stored(["account_id", "person_id", "comment", "score"])) == [
        ("acme", "a@x.jp", "a@x.jp", 9),
        ("beta", "c@x.jp", "c@x.jp", 1),
    ]


async def test_a_dry_run_says_the_same_and_leaves_nothing(post: Post):
    desk = await post.desk()
    dry = await desk.bring(FULL, ("dry_run", "true"))
    assert await desk.stored(["score"]) == []
    door = await post.door(desk.tenant, "api", "viewer")
    assert (await door.get("/v1/surveys")).json() == {"items": [], "total": 0, "next_cursor": None}
    assert await desk.bring(FULL) == dry


@pytest.mark.parametrize(
    ("encoding", "delimiter", "warning"),
    [
        ("utf-8", ",", None),
        ("utf-8-sig", ";", None),
        ("cp932", ",", "the file is not UTF-8 and was read as Shift_JIS (CP932)"),
        ("cp932", "\t", "the file is not UTF-8 and was read as Shift_JIS (CP932)"),
        ("utf-16", "\t", None),
    ],
)
async def test_files_as_excel_writes_them_are_taken(post: Post, encoding: str, delimiter: str, warning: str | None):
    desk = await post.desk()
    rows = [["at", "person_id", "comment", "score"], ["2026/6/1 9:00", "田中", "①はい、そう", "10"]]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    told = await desk.bring(text.encode(encoding))
    assert ([one for one in told["warnings"] if "survey" not in one], told["accepted"]) == (
        [warning] if warning else [],
        1,
    )
    assert await desk.stored(["person_id", "comment", "score"]) == [("田中", "①はい、そう", 10)]


async def test_a_workbook_keeps_days_times_and_numbers_as_they_are_shown(post: Post):
    desk = await post.desk()
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "answers"
    sheet.append(["at", "account_id", "person_id", "score", "comment"])
    sheet.append([date(2026, 6, 1), 12345, "p1", 9, "day"])
    sheet.append([datetime(2026, 6, 2, 0, 0), 12345, "p2", 9.0, "midnight"])  # noqa: DTZ001 cells have no zone
    sheet.append([])
    sheet.append(["2026-06-03 10:00", "acme", "p3", 9.5, None])
    sheet.append(["2026-06-04", None, None, None, True])
    book.create_sheet("more").append(["at"])
    file = io.BytesIO()
    book.save(file)
    told = await desk.bring(file.getvalue())
    assert [(one["line"], one["code"]) for one in told["rejected"]] == [(5, "invalid_score")]
    assert "the workbook has 2 sheets; only the first was read: answers" in told["warnings"]
    assert await desk.stored(["account_id", "person_id", "at", "score", "comment"]) == [
        ("12345", "p1", at(date(2026, 6, 1), 12), 9, "day"),
        ("12345", "p2", at(date(2026, 6, 2), 0), 9, "midnight"),
        (None, None, at(date(2026, 6, 4), 12), None, "true"),
    ]


@pytest.mark.parametrize(
    ("body", "query", "status", "code"),
    [
        (b"", [], 400, "not_a_sheet"),
        (b"at,\x81\n", [], 400, "not_a_sheet"),
        (b"PK\x03\x04 no workbook", [], 400, "not_a_sheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", [], 400, "not_a_sheet"),
        (b"when,score\n2026-06-01,1\n", [], 422, "missing_field"),
        (b"at\n2026-06-01\n", [("map", "nothing=score")], 422, "unknown_column"),
        (b"at\n2026-06-01\n", [("where", "nothing=1")], 422, "unknown_column"),
        (b"at\n2026-06-01\n", [("map", "at=time")], 422, "unknown_field"),
        (b"at\n2026-06-01\n", [("map", "at=at"), ("set", "at=2026-06-01")], 422, "field_twice"),
        (b"at\n2026-06-01\n", [("set", "score")], 422, "no_pair"),
        (b"at\n" + b"2026-06-01\n" * 501, [], 413, "too_large"),
        (b"at,comment\n2026-06-01," + b"x" * 200_000, [], 413, "too_large"),
        (b"at,survey\n" + b"".join(b"2026-06-01,s%d\n" % n for n in range(51)), [], 422, "too_many_surveys"),
    ],
)
async def test_what_is_no_such_file_is_refused_whole(
    post: Post, body: bytes, query: list[tuple[str, str]], status: int, code: str
):
    desk = await post.desk()
    answer = await desk.send(body, *query)
    problem = answer.json()
    assert (answer.status_code, code) == (
        status,
        problem["errors"][0]["code"] if problem["errors"] else problem["code"],
    )
    assert await desk.stored(["score"]) == []


async def test_only_server_keys_and_admins_import(post: Post):
    desk = await post.desk()
    admin = Desk(desk.tenant, await post.door(desk.tenant, "api", "admin"))
    assert (await admin.bring(FULL))["accepted"] == 2
    for kind, role in (("write", None), ("api", "manager"), ("api", "viewer")):
        other = Desk(desk.tenant, await post.door(desk.tenant, kind, role))
        assert (await other.send(FULL)).status_code == 403


async def test_a_survey_of_one_tenant_is_another_one_in_the_next(post: Post):
    first, second = await post.desk(), await post.desk()
    for desk in (first, second):
        assert (await desk.bring(FULL))["warnings"] == ["new survey: Spring"]
    assert (await first.bring(FULL))["warnings"] == []
    ids = [(await desk.tenant.get("/v1/nps?by=survey"))["groups"][0]["key"] for desk in (first, second)]
    assert ids[0] != ids[1]
