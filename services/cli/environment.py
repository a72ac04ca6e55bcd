"""The environment, read at the door: every `GENKI_…` is known, none is empty by accident, each is what it should be."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Final
from urllib.parse import urlsplit

from services.cli.report import Refused

Check = Callable[[str], str | None]
"""What is wrong with a value, or None."""


def _any(_: str) -> str | None:
    return None


def _filled(value: str) -> str | None:
    return None if value.strip() else "is set, and empty"


def _count(value: str) -> str | None:
    return None if value.isdecimal() and 0 < int(value) < 2**31 else "should be a whole number above 0"


def _address(*schemes: str) -> Check:
    def check(value: str) -> str | None:
        try:
            parts = urlsplit(value)
            good = (
                parts.scheme in schemes
                and bool(parts.hostname or "@" in parts.netloc or parts.query)
                and parts.port != 0
            )
        except ValueError:
            good = False
        return None if good else f"should be {schemes[0]}://HOST[:PORT]…"

    return check


def _address_or_nothing(value: str) -> str | None:
    return _address("https", "http")(value) if value else None


KNOWN: Final[Mapping[str, Check]] = {
    "GENKI_APP_PASSWORD": _filled,
    "GENKI_CONNECTIONS": _count,
    "GENKI_CONNECTIONS_PER_ADDRESS": _count,
    "GENKI_DATA": _filled,
    "GENKI_DATABASE_URL": _address("postgresql", "postgres"),
    "GENKI_HOST": _filled,
    "GENKI_INGEST_URL": _address("http", "https"),
    "GENKI_ISSUERS": _any,
    "GENKI_KAFKA_BOOTSTRAP": _filled,
    "GENKI_KEY_REQUESTS_PER_SECOND": _count,
    "GENKI_NPS_URL": _address("http", "https"),
    "GENKI_OWNER_PASSWORD": _any,  # docker-compose.yml's own
    "GENKI_PORT": _any,
    "GENKI_PUBLIC_URL": _address_or_nothing,
    "GENKI_REQUIRE_KAFKA": _any,  # the tests' own
    "GENKI_SCORING_BATCH_FACTS": _count,
    "GENKI_SCORING_STREAMS_PER_TENANT": _count,
    "GENKI_SCORING_URL": _address("http", "https"),
    "GENKI_SCORING_WORKERS": _filled,
    "GENKI_SMTP_SECRETS": _any,
    "GENKI_TENANT_FACTS_PER_SECOND": _count,
    "GENKI_WORKER_PASSWORD": _filled,
}
_TESTS: Final = "GENKI_TEST_"


def check_environment(environment: Mapping[str, str]) -> None:
    """Raises Refused with everything that is wrong. Values are not told: some are secret."""
    wrong: list[str] = []
    for name in sorted(environment):
        if name in KNOWN:
            if problem := KNOWN[name](environment[name]):
                wrong.append(f"{name} {problem}")
        elif name.startswith("GENKI_") and not name.startswith(_TESTS):
            meant = get_close_matches(name, KNOWN, 1)
            wrong.append(f"{name} is no setting" + (f"; is {meant[0]} meant?" if meant else ""))
    if wrong:
        raise Refused("; ".join(wrong))


def count_in(environment: Mapping[str, str], name: str) -> int | None:
    """A whole number of the checked environment, None where it names none."""
    return int(environment[name]) if environment.get(name) else None
