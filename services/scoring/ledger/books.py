"""All entries judged and added up, and the report that this makes. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.scoring.ledger.rules import EQUATIONS, OF_THE_CLIENT, Entry, Found, Terms, judge

SHOWN: Final = 20  # ids named for each equation
_TOTALS: Final = ("ids", "acked", "rejected", "unknown", "applied", "duplicate", "dead", "waiting", "consumed")


@dataclass
class Finding:
    """One equation: "ok", "BROKEN" with how often and the first ids, or "not run" with the reason."""

    equation: int
    state: str
    count: int = 0
    first: list[Found] = field(default_factory=list)
    note: str = ""


@dataclass
class Report:
    """What the accountant found. `totals` by tenant id: of ids, but consumed, duplicate and dead are lines."""

    findings: list[Finding]
    totals: dict[str, dict[str, int]]

    @property
    def green(self) -> bool:
        """Whether every equation that was run holds."""
        return all(one.state != "BROKEN" for one in self.findings)

    def broken(self) -> list[int]:
        """The equations that do not hold."""
        return [one.equation for one in self.findings if one.state == "BROKEN"]

    def rebuilt(self, different: Sequence[Found] | None, note: str) -> None:
        """Equation 6 was run: the tables that differ, None when it could not be; `note` says how much or why."""
        state = "not run" if different is None else "BROKEN" if different else "ok"
        found = list(different or ())
        self.findings[5] = Finding(6, state, len(found), found[:SHOWN], note)

    def document(self) -> dict[str, Any]:
        """For programs."""
        findings = [
            {
                "equation": one.equation, "says": EQUATIONS[one.equation], "state": one.state, "count": one.count,
                "first": [found._asdict() for found in one.first], "note": one.note,
            }
            for one in self.findings
        ]  # fmt: skip
        return {"green": self.green, "equations": findings, "tenants": self.totals}

    def text(self) -> str:
        """For people: a line an equation, the first ids of each that is broken, a line a tenant."""
        lines: list[str] = []
        for one in self.findings:
            lines.append(f"{one.equation}  {one.state:7} {EQUATIONS[one.equation]}{_more(one)}")
            lines += [f"     {found.tenant or '':>4} {found.what}: {found.why}" for found in one.first]
        for tenant, totals in self.totals.items():
            lines.append(f"{tenant}: " + ", ".join(f"{totals[name]:,} {name}" for name in _TOTALS if totals[name]))
        return "\n".join(lines)


def _more(one: Finding) -> str:
    return (f": {one.count:,} times" if one.count else "") + (f" ({one.note})" if one.note else "")


class Books:
    """Takes entries one by one; keeps counts, and no more ids than it shows."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._findings = {equation: Finding(equation, "ok") for equation in EQUATIONS}
        self._totals: dict[int, Counter[str]] = {}
        self.skip(6, "not asked for")
        for equation in OF_THE_CLIENT if terms.tenants is None else ():
            self.skip(equation, "no client ledger")

    def take(self, entry: Entry) -> None:
        """Judges one fact and adds it up."""
        for fault in judge(entry, self._terms):
            self.fault(fault.equation, Found(entry.tenant, f"{entry.kind} {entry.id}", fault.why))
        self._add(entry)

    def fault(self, equation: int, found: Found) -> None:
        """Something that breaks an equation."""
        finding = self._findings[equation]
        finding.state = "BROKEN"
        finding.count += 1
        if len(finding.first) < SHOWN:
            finding.first.append(found)

    def faults(self, equation: int, found: Iterable[Found]) -> None:
        """Several of them."""
        for one in found:
            self.fault(equation, one)

    def skip(self, equation: int, why: str) -> None:
        """The equation is not run, and why."""
        self._findings[equation] = Finding(equation, "not run", note=why)

    def report(self, names: Mapping[int, str]) -> Report:
        """`names`: the tenants' ids by number."""
        totals = {
            names.get(tenant, f"tenant {tenant}"): {name: counts[name] for name in _TOTALS}
            for tenant, counts in sorted(self._totals.items())
        }
        return Report(list(self._findings.values()), totals)

    def _add(self, entry: Entry) -> None:
        counts = self._totals.setdefault(entry.tenant, Counter())
        counts["ids"] += 1
        if entry.sent:
            for outcome in ("acked", "rejected", "unknown"):
                if entry.had(outcome):
                    counts[outcome] += 1
                    break
        if entry.applied:
            counts["applied"] += 1
        if entry.waiting or entry.outbox:
            counts["waiting"] += len(entry.waiting) + entry.outbox
        if entry.consumed:
            dead = sum(spot in entry.dead for spot in entry.consumed)
            counts["consumed"] += len(entry.consumed)
            counts["dead"] += dead
            counts["duplicate"] += max(0, len(entry.consumed) - dead - sum(one.in_log for one in entry.applied))
