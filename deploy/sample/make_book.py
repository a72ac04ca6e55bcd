"""Writes the invented part of the sample: nova-csms.csv, nova-book.csv, nova-responses.csv. Same input, same output.

Run from anywhere: `python deploy/sample/make_book.py`. Every draw is seeded by the account's name, so an account keeps
its figures when others come or go. Nothing here says anything about the companies whose domains appear in the sample.
"""

import csv
import gzip
import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).parent
CUT = date(2016, 3, 7)  # the day after the community's liveliest four weeks, see README.md
LAST = CUT + timedelta(days=4)  # the demo's cut lies at most half a week from CUT
SILENT_IS_CHURNED = 180  # an account silent for longer had ended its contract before, says this book
CSMS = (
    ("tanaka", "田中 美咲", "strategic"),
    ("martin", "Claire Martin", "strategic"),
    ("suzuki", "鈴木 健太", "corporate onboarding"),
    ("lee", "Hannah Lee", "corporate onboarding"),
    ("sato", "佐藤 由美子", "corporate adoption"),
    ("novak", "Petr Novák", "corporate adoption"),
    ("kobayashi", "小林 大輔", "enablement"),
    ("garcia", "Lucía García", "enablement"),
)
NAMES = {
    "redhat.com": "Red Hat", "ibm.com": "IBM", "rackspace.com": "Rackspace", "intel.com": "Intel",
    "vmware.com": "VMware", "mirantis.com": "Mirantis", "nec.co.jp": "日本電気 NEC", "ntt.co.jp": "日本電信電話 NTT",
    "nttdata.co.jp": "NTTデータ", "nttdata.com": "NTT DATA", "nttdocomo.co.jp": "NTTドコモ", "kddi.com": "KDDI",
    "fujitsu.com": "富士通", "hitachi.com": "日立製作所", "virtualtech.jp": "日本仮想化技術", "midokura.jp": "ミドクラジャパン",
    "intellilink.co.jp": "NTTデータ先端技術", "valinux.co.jp": "VA Linux Systems Japan", "rakuten.com": "楽天",
    "citrix.com": "Citrix", "hp.com": "Hewlett-Packard", "huawei.com": "Huawei", "cisco.com": "Cisco",
    "suse.com": "SUSE", "dell.com": "Dell", "oracle.com": "Oracle", "canonical.com": "Canonical", "cern.ch": "CERN",
    "nasa.gov": "NASA", "mit.edu": "MIT", "easystack.cn": "EasyStack", "unitedstack.com": "UnitedStack",
    "zte.com.cn": "ZTE", "chinamobile.com": "China Mobile", "ericsson.com": "Ericsson", "nokia.com": "Nokia",
}  # fmt: skip
INDUSTRIES = ("software", "cloud services", "telecommunications", "hardware", "systems integration", "media", "retail")
TELECOM = {"ntt.co.jp", "nttdocomo.co.jp", "kddi.com", "chinamobile.com", "ericsson.com", "nokia.com", "zte.com.cn"}
HARDWARE = {"intel.com", "ibm.com", "hp.com", "nec.co.jp", "fujitsu.com", "hitachi.com", "cisco.com", "dell.com", "huawei.com"}
RESEARCH = (".edu", ".gov", ".ch", "edu.br", ".pt", ".kth.se", "u-szeged.hu", "unican.es")
SURVEYS = ("定期アンケート", "導入完了アンケート")
COMMENTS = {
    "promoter": (
        "動作が安定していて、安心して任せられます。", "Solid, and your team answers within the hour.",
        "担当の方の提案がいつも具体的で助かっています。", "Upgrades have become boring. That is praise.",
        "他部署にも勧めました。", "The last release saved us a week of work.",
    ),
    "passive": (
        "概ね満足ですが、検索がもう少し速いとうれしいです。", "Good, though the documentation lags behind.",
        "機能は十分。料金体系が少し分かりにくい。", "Works. We use perhaps a third of it.",
    ),
    "detractor": (
        "問い合わせの回答に三日かかりました。", "Two regressions in one month; we had to roll back.",
        "使いこなせている人が社内に一人しかいません。", "Migration was harder than promised.",
        "画面が重く、毎朝の作業が終わりません。",
    ),
}  # fmt: skip


class History:
    """What the sample tells of one account up to the cut."""

    def __init__(self) -> None:
        self.days: list[date] = []
        self.people: dict[str, date] = {}
        self.last_year: set[str] = set()

    def see(self, day: date, person: str) -> None:
        self.days.append(day)
        self.people[person] = max(day, self.people.get(person, day))
        if day > CUT - timedelta(days=365):
            self.last_year.add(person)


def main() -> None:
    histories = read_histories()
    values = {account: money(account, history) for account, history in histories.items()}
    kept = [account for account, history in histories.items() if churned_on(account, history) is None]
    ranked = sorted(kept, key=lambda account: (-sum(values[account]), account))
    owners = hand_out(ranked, histories)
    book = [row_of(account, histories[account], values[account], owners.get(account, "")) for account in histories]
    header = ("account_id", "name", "industry", "acv_jpy", "potential_acv_jpy", "seats", "customer_since", "csm_id",
              "renewal_on", "churned_on")  # fmt: skip
    write("nova-csms.csv", ("csm_id", "name", "email", "team"),
          [(csm, name, f"{csm}@example.com", team) for csm, name, team in CSMS])  # fmt: skip
    write("nova-book.csv", header, book)
    columns = ("response_id", "at", "account_id", "person_id", "score", "comment", "survey")
    write("nova-responses.csv", columns, sorted(responses(ranked, histories), key=lambda row: (row[1], row[0])))


def read_histories() -> dict[str, History]:
    """The accounts of the sample up to the cut, by id."""
    found: dict[str, History] = defaultdict(History)
    with gzip.open(HERE / "nova-events-until-2017.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            see(found, row["account"], row["user_id"], row["ts"])
    with (HERE / "nova-touchpoints-until-2017.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            whom = "to_" if row["to_account"] != "individual" else ""
            if row["account"] != "individual" or whom:
                see(found, row[f"{whom}account"], row["to_user" if whom else "from_user"], row["ts"])
    return dict(sorted(found.items()))


def see(found: dict[str, History], account: str, person: str, seconds: str) -> None:
    day = datetime.fromtimestamp(int(seconds), UTC).date()
    if day <= LAST:
        found[account].see(day, person)


def money(account: str, history: History) -> tuple[int, int]:
    """(ACV, potential ACV) in yen: skewed, larger where more people worked; one in twelve pays nothing yet."""
    dice = random.Random(f"money {account}")
    if dice.random() < 1 / 12:
        return 0, 0
    size = 1 + len(history.last_year) + len(history.people) / 8
    acv = round(dice.lognormvariate(0, 0.55) * 260_000 * size**1.25, -4)
    potential = round(acv * dice.uniform(0.15, 1.2), -4) if dice.random() < 0.3 else 0
    return max(int(acv), 120_000), int(potential)


def churned_on(account: str, history: History) -> date | None:
    """When its invented contract ended: some months after its last sign of life."""
    if (CUT - max(history.days)).days <= SILENT_IS_CHURNED:
        return None
    return max(history.days) + timedelta(days=random.Random(f"churn {account}").randint(90, 180))


def hand_out(ranked: list[str], histories: dict[str, History]) -> dict[str, str]:
    """An owner for every account worth one: the top tenth strategic, the next third corporate, of the rest every
    second one enablement."""
    owners: dict[str, str] = {}
    turns: dict[str, int] = defaultdict(int)
    high, low = -(-len(ranked) // 10), -(-len(ranked) * 4 // 10)
    for place, account in enumerate(ranked):
        if place < high:
            team = "strategic"
        elif place < low:
            new = (CUT - min(histories[account].days)).days < 300
            team = "corporate onboarding" if new else "corporate adoption"
        elif place % 2:
            continue
        else:
            team = "enablement"
        of_team = [csm for csm, _, theirs in CSMS if theirs == team]
        owners[account] = of_team[turns[team] % 2]
        turns[team] += 1
    return owners


def row_of(account: str, history: History, value: tuple[int, int], owner: str) -> tuple[object, ...]:
    dice = random.Random(f"book {account}")
    since = min(history.days) - timedelta(days=dice.randint(0, 45))
    ended = churned_on(account, history)
    seats = max(len(history.last_year), len(history.people) // 3, 1)
    seats = -(-int(seats * dice.uniform(1.0, 2.4)) // 5) * 5 if dice.random() < 0.9 else ""
    renewal = anniversary(since) if ended is None and value[0] and dice.random() < 0.75 else ""
    return (account, NAMES.get(account, account), industry_of(account), value[0] or "", value[1] or "", seats, since, owner, renewal,
            ended or "")  # fmt: skip


def industry_of(account: str) -> str:
    if account in TELECOM or account in HARDWARE:
        return "telecommunications" if account in TELECOM else "hardware"
    if account.endswith(RESEARCH):
        return "research and education"
    return "software" if account in NAMES else random.Random(f"industry {account}").choice(INDUSTRIES)


def anniversary(since: date) -> date:
    """The contract's first anniversary after the cut (29 Feb counts as 28 Feb)."""
    day = min(since.day, 28)
    this_year = date(CUT.year, since.month, day)
    return this_year if this_year > CUT else date(CUT.year + 1, since.month, day)


def responses(ranked: list[str], histories: dict[str, History]) -> Iterable[tuple[object, ...]]:
    """Answers of people seen in the last year: most of the last 90 days, some older; one in twelve only comments."""
    for account in ranked:
        for person in sorted(histories[account].last_year):
            dice = random.Random(f"response {account} {person}")
            if dice.random() > 0.3:
                continue
            mood = dice.choices(("promoter", "passive", "detractor"), (45, 33, 22))[0]
            score = {"promoter": (9, 10), "passive": (7, 8), "detractor": (1, 3, 4, 5, 6)}[mood]
            moment = datetime(CUT.year, CUT.month, CUT.day, tzinfo=UTC) - timedelta(
                days=dice.randint(4, 85) if dice.random() < 0.8 else dice.randint(95, 170),
                minutes=dice.randint(0, 9 * 60),
            )
            comment = dice.choice(COMMENTS[mood]) if dice.random() < 0.6 else ""
            only_comment = comment and dice.random() < 1 / 12
            survey = SURVEYS[dice.random() < 0.15]
            yield (f"nova-{account}-{person}", f"{moment:%Y-%m-%dT%H:%M:%SZ}", account, person,
                   "" if only_comment else dice.choice(score), comment, survey)  # fmt: skip


def write(name: str, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)


if __name__ == "__main__":
    main()
