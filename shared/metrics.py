"""What Genki counts about itself: every metric name in one list, with its unit."""

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# One observation per answered request, in seconds; `route` is the template (`/v1/accounts/{account_id}`), never a path,
# so that neither ids nor tokens become labels. `status` is the class: 2xx … 5xx.
HTTP_SECONDS: Final = Histogram(
    "genki_http_request_seconds", "Answered requests", ("service", "method", "route", "status"), buckets=_SECONDS
)
# Requests taken and not yet answered; a stream counts until it ends.
HTTP_OPEN: Final = Gauge("genki_http_requests_open", "Requests being answered", ("service",))
# Seconds by which every clock of Genki is shifted; 0 but in rehearsals.
STREAMS_OPEN: Final = Gauge("genki_streams_open", "Listeners of the stream")
CLOCK_OFFSET: Final = Gauge("genki_clock_offset_seconds", "Shift of the clock")
# Facts that scoring read from the log, by what became of them: applied, duplicate, conflict, dead.
FACTS_FOLDED: Final = Counter("genki_scoring_facts_total", "Facts read from the log", ("outcome",))
# Records of the outbox that Kafka refuses for their size: they stay in it, and are tried once a minute.
OUTBOX_REFUSED: Final = Gauge("genki_outbox_refused_records", "Records of the outbox that the log refuses")
# Accounts assessed, and the seconds one round of assessments took.
ACCOUNTS_ASSESSED: Final = Counter("genki_scoring_assessed_total", "Accounts assessed")
ASSESS_SECONDS: Final = Histogram("genki_scoring_assess_seconds", "One round of assessments", buckets=_SECONDS)

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_children: Final[dict[tuple[str, str, str, int], Histogram]] = {}  # labels() costs more than the observation itself


def observe_request(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Counts one answered request; an unheard-of method is `other`, so that labels stay few."""
    labels = (service, method if method in _METHODS else "other", route, status // 100)
    child = _children.get(labels)
    if child is None:
        child = _children[labels] = HTTP_SECONDS.labels(*labels[:3], f"{labels[3]}xx")
    child.observe(seconds)


def exposition() -> bytes:
    """Everything counted in this process, in Prometheus' text format."""
    return generate_latest()
