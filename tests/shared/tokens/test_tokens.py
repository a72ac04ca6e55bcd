"""Tokens of frontends: what is believed, and every attack that is not."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from joserfc.jwk import ECKey, RSAKey

from shared.clock import Clock
from shared.errors import Unauthorized, Unavailable
from shared.tenancy import Keyring, Principal, new_key
from shared.tokens import BadIssuers, Issuers, Tokens, keys, read_issuers
from shared.tokens.keys import key_set
from tests.shared.tokens.issuing import (
    AUDIENCE,
    EC,
    ED,
    ISSUER,
    KEYS,
    NOW,
    OTHER_RSA,
    RSA,
    TENANT,
    b64,
    claims,
    issuer,
    signed,
    unsigned,
    with_secret,
)

SECOND = int(NOW.timestamp())


class Standing(Clock):
    """A clock that stands at `NOW`, plus its offset."""

    def now(self) -> Any:
        return NOW + self.offset


async def no_key(key_id: str) -> dict[str, Any] | None:
    return None if key_id else {}


async def tenants(tenant_id: str) -> dict[str, Any] | None:
    row = {"tenant": 7, "tenant_id": tenant_id, "time_zone": "Asia/Tokyo", "currency": "JPY", "fx": ["USD"]}
    return row if tenant_id == TENANT else None


def ring(*issuers: Any, clock: Clock | None = None) -> Keyring:
    told = clock or Standing()
    return Keyring(no_key, told, Tokens(Issuers(issuers=issuers or (issuer(),)), told), tenants)


async def verified(token: str, *issuers: Any) -> Principal:
    return await ring(*issuers).verify(token)


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=["RS256", "ES256", "Ed25519"])
async def test_a_good_token_speaks_for_its_tenant_and_role_as_a_key_of_kind_api_would(key: Any) -> None:
    asker = await verified(signed(claims(), key))
    assert asker == Principal(
        7, TENANT, "api", "manager", "csm-1", "Asia/Tokyo", "JPY", frozenset({"USD"}), f"u-1@{ISSUER}"
    )


GOOD: dict[str, dict[str, Any]] = {
    "no csm": {"genki_csm_id": ...},
    "null csm": {"genki_csm_id": None},
    "several audiences": {"aud": ["other", AUDIENCE]},
    "no iat": {"iat": ...},
    "just expired, within the leeway": {"exp": SECOND - 29},
    "begins in a moment, within the leeway": {"nbf": SECOND + 29},
    "a fraction of a second": {"exp": SECOND + 0.5},
    "unknown claims": {"scope": "openid", "nonce": "x"},
}


@pytest.mark.parametrize("changes", GOOD.values(), ids=GOOD)
async def test_what_a_token_may_leave_out_or_add(changes: dict[str, Any]) -> None:
    assert (await verified(signed(claims(**changes)))).tenant == 7


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "expired": {"exp": SECOND - 30},
    "no expiry": {"exp": ...},
    "expiry as text": {"exp": str(SECOND + 300)},
    "expiry true": {"exp": True},
    "expiry NaN": {"exp": float("nan")},
    "expiry infinite": {"exp": float("inf")},
    "expiry null": {"exp": None},
    "holds for years": {"exp": SECOND + 86_400 * 400},
    "not yet": {"nbf": SECOND + 31},
    "not before NaN": {"nbf": float("nan")},
    "made in the future": {"iat": SECOND + 31},
    "other issuer": {"iss": "https://evil.example/"},
    "issuer with a slash less": {"iss": ISSUER.rstrip("/")},
    "no issuer": {"iss": ...},
    "issuer as list": {"iss": [ISSUER]},
    "other audience": {"aud": "console"},
    "no audience": {"aud": ...},
    "audience in part": {"aud": AUDIENCE + "2"},
    "audience within other types": {"aud": [{"x": AUDIENCE}, 1, None]},
    "audience as object": {"aud": {AUDIENCE: 1}},
    "no subject": {"sub": ...},
    "empty subject": {"sub": ""},
    "subject as number": {"sub": 1},
    "subject with a line break": {"sub": "a\nb"},
    "no tenant": {"genki_tenant": ...},
    "tenant it does not speak for": {"genki_tenant": "t_8"},
    "tenant that does not exist": {"genki_tenant": "t_gone"},
    "tenant as list": {"genki_tenant": [TENANT]},
    "tenant in other case": {"genki_tenant": TENANT.upper()},
    "no role": {"genki_role": ...},
    "unknown role": {"genki_role": "root"},
    "roles as list": {"genki_role": ["admin"]},
    "csm as number": {"genki_csm_id": 7},
    "csm empty": {"genki_csm_id": ""},
}


@pytest.mark.parametrize("changes", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
async def test_a_token_with_wrong_claims_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        await verified(signed(claims(**changes)), issuer(tenants=[TENANT, "t_gone"]))


def _swapped(part: int, text: str) -> str:
    parts = signed(claims()).split(".")
    parts[part] = text
    return ".".join(parts)


def _tampered() -> str:
    head, _, signature = signed(claims()).split(".")
    return ".".join((head, b64(json.dumps(claims(genki_role="admin")).encode()), signature))


PEM = RSA.as_pem(private=False)
NUMBER = str(RSA.as_dict(private=False)["n"]).encode()
ANY_RSA = RSAKey.import_key({name: value for name, value in RSA.as_dict(private=True).items() if name != "alg"})
OWN = RSAKey.generate_key(2048, {"kid": "evil"})
ATTACKS: dict[str, Callable[[], str]] = {
    "none": lambda: unsigned(claims(), {"alg": "none", "kid": "rsa-1"}),
    "none in other case": lambda: unsigned(claims(), {"alg": "nOnE", "kid": "rsa-1"}),
    "none with the old signature": lambda: _swapped(0, b64(b'{"alg":"none","kid":"rsa-1"}')),
    "no algorithm": lambda: unsigned(claims(), {"kid": "rsa-1"}),
    "HS256 with the public key as secret": lambda: with_secret(claims(), PEM),
    "HS512 with the public key as secret": lambda: with_secret(claims(), PEM, "512"),
    "HS256 with the modulus as secret": lambda: with_secret(claims(), NUMBER),
    "RSA key by an algorithm not pinned": lambda: signed(claims(), ANY_RSA, alg="PS256"),
    "RSA key by ES256": lambda: signed(claims(), EC, kid="rsa-1"),
    "EC key by RS256": lambda: signed(claims(), RSA, kid="ec-1"),
    "another key under this id": lambda: signed(claims(), OTHER_RSA),
    "unknown id": lambda: signed(claims(), RSA, kid="rsa-2"),
    "no id": lambda: signed(claims(), RSA, kid=...),
    "id of another type": lambda: unsigned(claims(), {"alg": "RS256", "kid": ["rsa-1"]}, b"x"),
    "own key in the header": lambda: signed(claims(), OWN, jwk=OWN.as_dict(private=False)),
    "own key set's address": lambda: signed(claims(), OWN, jku="http://127.0.0.1:1/keys"),
    "path as id": lambda: signed(claims(), RSA, kid="../../../../dev/null"),
    "claims changed": _tampered,
    "signature left out": lambda: _swapped(2, ""),
    "signature of zeros": lambda: _swapped(2, b64(bytes(256))),
    "signature cut": lambda: signed(claims())[:-4],
    "psychic signature": lambda: unsigned(claims(), {"alg": "ES256", "kid": "ec-1"}, bytes(64)),
    "critical extension": lambda: unsigned(claims(), {"alg": "RS256", "kid": "rsa-1", "crit": ["x"], "x": 1}, b"x"),
    "unencoded payload": lambda: unsigned(claims(), {"alg": "RS256", "kid": "rsa-1", "b64": False}, b"x"),
    "a logout token": lambda: signed(claims(), typ="logout+jwt"),
    "claims as list": lambda: signed(b"[1]"),
    "claims no JSON": lambda: signed(b"{"),
    "claims nested deep": lambda: signed(b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
    "too long": lambda: signed(claims(x="x" * 9_000)),
    "foreign characters in the signature": lambda: signed(claims())[:-5] + "!" + signed(claims())[-5:],
    "encrypted": lambda: signed(claims()) + ".a.b",
    "empty parts": lambda: "..",
    "no ASCII": lambda: "é.é.é",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_an_attack_is_a_401_like_any_other(attack: Callable[[], str]) -> None:
    with pytest.raises(Unauthorized) as refused:
        await verified(attack())
    assert refused.value.detail == Unauthorized().detail


async def test_a_key_that_names_its_algorithm_is_for_no_other_even_a_pinned_one() -> None:
    both = issuer(algorithms=["RS256", "PS256"])
    assert (await verified(signed(claims(), RSA), both)).tenant == 7
    with pytest.raises(Unauthorized):
        await verified(signed(claims(), ANY_RSA, alg="PS256"), both)


async def test_a_token_with_any_one_bit_flipped_is_refused() -> None:
    token = signed(claims(), EC)
    keyring = ring()
    for place, letter in enumerate(token):
        changed = token[:place] + chr(ord(letter) ^ 1) + token[place + 1 :]
        with pytest.raises(Unauthorized):
            await keyring.verify(changed)


async def test_an_issuer_speaks_for_its_own_tenants_only_and_by_its_own_keys() -> None:
    foreign = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    other = issuer(issuer="https://b.example/", tenants=["t_8"], jwks={"keys": [foreign.as_dict(private=False)]})
    for token in (
        signed(claims(iss="https://b.example/"), foreign),  # the other issuer for our tenant
        signed(claims(), foreign),  # the other issuer's key in our issuer's name
        signed(claims(iss="https://b.example/", genki_tenant="t_8"), RSA),
    ):
        with pytest.raises(Unauthorized):
            await verified(token, issuer(), other)
    assert (await verified(signed(claims()), issuer(), other)).tenant == 7


async def test_without_issuers_no_token_is_believed_and_keys_stay_what_they_were() -> None:
    with pytest.raises(Unauthorized):
        await Keyring(no_key, Standing()).verify(signed(claims()))
    with pytest.raises(Unauthorized):
        await ring().verify(new_key("api").text)


async def test_a_tokens_times_are_real_time_while_genki_rehearses_the_future() -> None:
    ahead = Standing(timedelta(days=35))
    assert (await ring(clock=ahead).verify(signed(claims()))).tenant == 7
    with pytest.raises(Unauthorized):
        await ring(clock=ahead).verify(signed(claims(exp=SECOND - 31)))


def test_only_public_asymmetric_signing_keys_are_taken_from_a_set_and_none_of_two_with_one_id() -> None:
    public = {name: RSA.as_dict(private=False)[name] for name in ("kty", "n", "e")}
    small = {"kty": "RSA", "kid": "small", "e": "AQAB", "n": public["n"][:171]}
    found = key_set({"keys": [
        {**public, "kid": "good"}, {**public, "kid": "twice"}, {**public, "kid": "twice"}, public, small,
        {**public, "kid": "for encryption", "use": "enc"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {**public, "kid": "ops", "key_ops": ["encrypt"]}, {"kty": "EC", "kid": "broken"}, "nonsense",
        {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "private"},
    ]})  # fmt: skip
    assert sorted(found) == ["good"]


WRONG_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"algorithms": ["none"]}, "algorithms"),
    "symmetric": ({"algorithms": ["RS256", "HS256"]}, "algorithms"),
    "no algorithm": ({"algorithms": []}, "algorithms"),
    "no tenant": ({"tenants": []}, "tenants"),
    "no audience": ({"audience": ""}, "audience"),
    "unknown setting": ({"audiance": "x"}, "audiance"),
    "no keys": ({"jwks": None}, "exactly one"),
    "two sources": ({"jwks_url": "https://id.example/keys"}, "exactly one"),
    "address in the clear": ({"jwks": None, "jwks_url": "http://id.example/keys"}, "https"),
    "a file's address": ({"jwks": None, "jwks_url": "file:///etc/passwd"}, "https"),
    "leeway of an hour": ({"leeway_seconds": 3_600}, "leeway"),
    "missing file": ({"jwks": None, "jwks_file": "missing.json"}, "missing.json"),
    "no usable key": ({"jwks": {"keys": []}}, "no usable"),
}


@pytest.mark.parametrize(("changes", "word"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
def test_wrong_settings_are_refused_at_the_start(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    told = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ["RS256"], "tenants": [TENANT], "jwks": KEYS}
    file = tmp_path / "issuers.json"
    file.write_text(json.dumps({"issuers": [{**told, **changes}]}))
    with pytest.raises(BadIssuers, match=word):
        Tokens(read_issuers(file), Standing())


def test_a_key_file_lies_beside_the_settings(tmp_path: Path) -> None:
    told = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ["RS256"], "tenants": [TENANT]}
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    (tmp_path / "issuers.json").write_text(json.dumps({"issuers": [{**told, "jwks_file": "keys.json"}]}))
    assert read_issuers(tmp_path / "issuers.json").issuers[0].jwks == KEYS


class Address:
    """A key set behind HTTP that can change, fail, hang or grow."""

    def __init__(self) -> None:
        self.asked, self.answer, self.url = 0, lambda: web.json_response(KEYS), ""
        self.hang = False

    async def good(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(KEYS)

    async def get(self, _request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.hang:
            await asyncio.sleep(60)
        return self.answer()


@asynccontextmanager
async def published() -> AsyncIterator[Address]:
    address, app = Address(), web.Application()
    app.router.add_get("/keys", address.get)
    app.router.add_get("/elsewhere", address.good)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    try:
        yield address
    finally:
        await runner.cleanup()


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    async with published() as opened:
        yield opened


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock that the keys see, moved by hand."""
    held = [1_000.0]
    monkeypatch.setattr(keys, "time", type("Time", (), {"monotonic": staticmethod(lambda: held[0])}))
    return held


async def test_fetched_keys_are_kept_and_asked_for_once_however_many_ask(
    address: Address, seconds: list[float]
) -> None:
    keyring = ring(issuer(jwks_url=address.url))
    found = await asyncio.gather(*(keyring.verify(signed(claims())) for _ in range(20)))
    assert ({one.tenant for one in found}, address.asked) == ({7}, 1)
    seconds[0] += 301
    await keyring.verify(signed(claims()))
    assert address.asked == 2


async def test_an_unknown_id_fetches_again_but_strangers_cannot_make_it_a_habit(
    address: Address, seconds: list[float]
) -> None:
    keyring, new = ring(issuer(jwks_url=address.url)), RSAKey.generate_key(2048, {"kid": "rsa-2"})
    await keyring.verify(signed(claims()))
    for _ in range(5):
        with pytest.raises(Unauthorized):
            await keyring.verify(signed(claims(), new))
    assert address.asked == 1
    address.answer = lambda: web.json_response({"keys": [new.as_dict(private=False)]})
    seconds[0] += 31
    assert (await keyring.verify(signed(claims(), new))).tenant == 7
    with pytest.raises(Unauthorized):
        await keyring.verify(signed(claims()))  # a key that its issuer withdrew


AWAY: dict[str, Callable[[], web.Response]] = {
    "an error": lambda: web.Response(status=500),
    "a redirect": lambda: web.Response(status=302, headers={"location": "/elsewhere"}),
    "no JSON": lambda: web.Response(text="<html>"),
    "no key set": lambda: web.json_response([1]),
    "too much": lambda: web.Response(body=b" " * (keys.LARGEST + 1)),
}


@pytest.mark.parametrize("answer", AWAY.values(), ids=AWAY)
async def test_an_issuer_that_is_away_is_no_wrong_token_and_is_not_hammered(
    address: Address, seconds: list[float], answer: Callable[[], web.Response]
) -> None:
    keyring, address.answer = ring(issuer(jwks_url=address.url)), answer
    for _ in range(3):
        with pytest.raises(Unavailable):
            await keyring.verify(signed(claims()))
    assert address.asked == 1
    address.answer = lambda: web.json_response(KEYS)
    seconds[0] += 6
    assert (await keyring.verify(signed(claims()))).tenant == 7


async def test_known_keys_outlive_an_issuer_that_is_away_for_an_hour(address: Address, seconds: list[float]) -> None:
    keyring = ring(issuer(jwks_url=address.url))
    await keyring.verify(signed(claims()))
    address.answer = lambda: web.Response(status=503)
    seconds[0] += 3_000
    assert (await keyring.verify(signed(claims()))).tenant == 7
    seconds[0] += 601
    with pytest.raises(Unavailable):
        await keyring.verify(signed(claims()))


async def test_an_issuer_that_hangs_is_waited_for_no_longer_than_patience(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "PATIENCE", 0.2)
    address.hang = True
    with pytest.raises(Unavailable):
        await asyncio.wait_for(ring(issuer(jwks_url=address.url)).verify(signed(claims())), 2)
