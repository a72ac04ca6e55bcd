"""What every HTTP face of Genki shares: the front that each request passes, parameters, answers."""

from shared.http.answers import Json, listing
from shared.http.middleware import ROUTE, Front, front, route_of
from shared.http.params import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    decode_cursor,
    encode_cursor,
    fingerprint,
    parse_as_of,
    parse_day,
    parse_limit,
    parse_sort,
)

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "ROUTE",
    "Front",
    "Json",
    "decode_cursor",
    "encode_cursor",
    "fingerprint",
    "front",
    "listing",
    "parse_as_of",
    "parse_day",
    "parse_limit",
    "parse_sort",
    "route_of",
]
