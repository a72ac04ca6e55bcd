"""Keys: their form, who holds them, what they may do, how soon a revocation bites."""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared import memory, tenancy
from shared.clock import Clock
from shared.errors import Unauthorized, Unavailable
from shared.tenancy import Keyring, Right, may, new_key, parse_key, token_of


class Drawer:
    """A look-up over a dictionary that counts how often it is asked."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.asked = 0
        self.gate: asyncio.Event | None = None

    def put(self, kind: str = "api", role: str | None = "admin", **changes: Any) -> tenancy.NewKey:
        key = new_key(kind)
        row = {"tenant": 7, "tenant_id": "t_7", "kind": kind, "role": role, "csm_id": None, "fx": ["USD"]}
        row |= {"secret_hash": key.secret_hash, "expires_at": None, "revoked_at": None}
        self.rows[key.key_id] = row | {"time_zone": "Asia/Tokyo", "currency": "JPY"} | changes
        return key

    async def __call__(self, key_id: str) -> dict[str, Any] | None:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        return self.rows.get(key_id)


@pytest.fixture
def drawer() -> Drawer:
    return Drawer()


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock the keyring sees: `seconds[0]`, moved by hand."""
    held = [1000.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: held[0])
    return held


@pytest.mark.parametrize("kind", ["write", "server", "api"])
def test_a_new_key_says_its_kind_and_keeps_only_the_hash_of_its_secret(kind: str) -> None:
    key = new_key(kind)
    prefix, named, key_id, secret, checksum = key.text.split("_")
    assert (prefix, named, key_id) == ("gk", kind, key.key_id)
    assert 62 ** len(secret) > 2**128
    assert len(checksum) == 6
    assert key.secret_hash == hashlib.sha256(secret.encode()).digest()
    assert parse_key(key.text) == (kind, key_id, secret)


def test_no_two_keys_are_alike() -> None:
    assert len({new_key("write").text for _ in range(1000)}) == 1000


def test_a_kind_that_does_not_exist_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="root"):
        new_key("root")


def test_a_key_with_any_one_character_changed_is_no_key() -> None:
    text = new_key("server").text
    for place, right in enumerate(text):
        for wrong in "0AZaz_-.é\0":
            if wrong != right:
                assert parse_key(text[:place] + wrong + text[place + 1 :]) is None, (place, wrong)


def test_a_key_with_a_character_lost_or_added_or_swapped_is_no_key() -> None:
    text = new_key("api").text
    for place in range(len(text)):
        assert parse_key(text[:place] + text[place + 1 :]) is None
        assert parse_key(text[:place] + "0" + text[place:]) is None
        if place and text[place] != text[place - 1]:
            assert parse_key(text[: place - 1] + text[place] + text[place - 1] + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "gk", "gk____", "null", "a.b.c", "gk_api_" + "0" * 12 + "_" + "0" * 22 + "_000000"]
)
def test_what_only_looks_like_a_key_is_no_key(text: str) -> None:
    assert parse_key(text) is None


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer gk_x", "gk_x"),
        (b"bearer  gk_x ", "gk_x"),
        (b"Basic " + base64.b64encode(b"gk_x:"), "gk_x"),
        (b"Basic " + base64.b64encode(b"gk_x:password:more"), "gk_x"),
        (b"Basic " + base64.b64encode(b"gk_x"), "gk_x"),
        (b"Basic " + base64.b64encode(b":only"), None),
        (b"Basic not base64", None),
        (b"Digest gk_x", None),
        (b"gk_x", None),
        (b"Bearer", None),
        (b"", None),
    ],
)
def test_the_token_is_read_from_bearer_or_basic(header: bytes, token: str | None) -> None:
    assert token_of([(b"host", b"x"), (b"authorization", header)]) == token
    assert token_of([(b"host", b"x")]) is None


RIGHTS = {
    ("write", None): {Right.TRACK},
    ("server", None): {Right.TRACK, Right.EVENTS, Right.IMPORT},
    ("api", "admin"): {Right.IMPORT, Right.READ, Right.WORK, Right.MANAGE, Right.ADMIN},
    ("api", "manager"): {Right.READ, Right.WORK, Right.MANAGE},
    ("api", "csm"): {Right.READ, Right.WORK},
    ("api", "viewer"): {Right.READ},
    ("api", None): set(),
    ("api", "root"): set(),
    ("write", "admin"): {Right.TRACK},
    ("server", "admin"): {Right.TRACK, Right.EVENTS, Right.IMPORT},
    ("other", "admin"): set(),
}


@pytest.mark.parametrize(("holder", "rights"), RIGHTS.items(), ids=map(str, RIGHTS))
def test_each_kind_and_role_has_exactly_its_rights(holder: tuple[str, str | None], rights: set[Right]) -> None:
    assert {right for right in Right if may(*holder, right)} == rights


async def test_a_good_key_names_its_tenant_and_role(drawer: Drawer) -> None:
    key = drawer.put("api", "csm", csm_id="csm-1")
    asker = await Keyring(drawer, Clock()).verify(key.text)
    assert asker == (7, "t_7", "api", "csm", "csm-1", "Asia/Tokyo", "JPY", frozenset({"USD"}), key.key_id, "")


async def test_a_known_id_with_another_secret_is_refused(drawer: Drawer) -> None:
    key, other = drawer.put(), new_key("api")
    body = f"gk_api_{key.key_id}_{other.text.split('_')[3]}"
    forged = f"{body}_{tenancy._checksum(body)}"
    assert parse_key(forged) is not None
    with pytest.raises(Unauthorized):
        await Keyring(drawer, Clock()).verify(forged)


async def test_a_key_cannot_claim_another_kind_than_it_was_made_for(drawer: Drawer) -> None:
    key = drawer.put("write", None)
    body = key.text.replace("gk_write", "gk_server").rpartition("_")[0]
    with pytest.raises(Unauthorized):
        await Keyring(drawer, Clock()).verify(f"{body}_{tenancy._checksum(body)}")


@pytest.mark.parametrize("token", [None, "", "nonsense"])
async def test_nonsense_is_refused_without_asking_the_database(drawer: Drawer, token: str | None) -> None:
    with pytest.raises(Unauthorized):
        await Keyring(drawer, Clock()).verify(token)
    assert drawer.asked == 0


async def test_a_key_ends_at_its_expiry_by_the_clock_handed_in_even_while_remembered(drawer: Drawer) -> None:
    key = drawer.put(expires_at=datetime.now(UTC) + timedelta(days=1))
    assert (await Keyring(drawer, Clock()).verify(key.text)).tenant == 7
    with pytest.raises(Unauthorized):
        await Keyring(drawer, Clock(timedelta(days=2))).verify(key.text)


async def test_a_revocation_is_effective_within_five_seconds(drawer: Drawer, seconds: list[float]) -> None:
    key, keyring = drawer.put(), Keyring(drawer, Clock())
    await keyring.verify(key.text)
    drawer.rows[key.key_id]["revoked_at"] = datetime.now(UTC)
    await keyring.verify(key.text)
    assert drawer.asked == 1
    seconds[0] += 4.1
    with pytest.raises(Unauthorized):
        await keyring.verify(key.text)


async def test_a_forgotten_key_is_looked_up_at_once(drawer: Drawer) -> None:
    key, keyring = drawer.put(), Keyring(drawer, Clock())
    await keyring.verify(key.text)
    drawer.rows[key.key_id]["revoked_at"] = datetime.now(UTC)
    keyring.forget(key.key_id)
    with pytest.raises(Unauthorized):
        await keyring.verify(key.text)


async def test_an_id_nobody_has_is_remembered_too_and_found_once_made(drawer: Drawer, seconds: list[float]) -> None:
    key, keyring = drawer.put(), Keyring(drawer, Clock())
    row = drawer.rows.pop(key.key_id)
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await keyring.verify(key.text)
    assert drawer.asked == 1
    drawer.rows[key.key_id] = row
    seconds[0] += 4.1
    assert (await keyring.verify(key.text)).tenant == 7


async def test_the_memory_of_ids_is_bounded_and_strangers_do_not_push_out_holders(
    drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenancy, "_KNOWN", 10)
    key, keyring = drawer.put(), Keyring(drawer, Clock())
    await keyring.verify(key.text)
    for _ in range(50):
        with pytest.raises(Unauthorized):
            await keyring.verify(new_key("api").text)
    await keyring.verify(key.text)
    assert drawer.asked == 51
    assert len(keyring._keys.nobody) == 10


async def test_many_askers_with_one_key_cost_one_look_up_and_one_leaving_hurts_nobody(drawer: Drawer) -> None:
    key, keyring = drawer.put(), Keyring(drawer, Clock())
    drawer.gate = asyncio.Event()
    askers = [asyncio.create_task(keyring.verify(key.text)) for _ in range(20)]
    await asyncio.sleep(0)
    askers[0].cancel()
    await asyncio.sleep(0)
    drawer.gate.set()
    answers = await asyncio.gather(*askers, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert {a.tenant for a in answers[1:] if isinstance(a, tenancy.Principal)} == {7}
    assert drawer.asked == 1


async def test_a_database_that_is_away_is_not_a_wrong_key(drawer: Drawer) -> None:
    key, away = drawer.put(), True

    async def find(key_id: str) -> dict[str, Any] | None:
        if away:
            raise Unavailable
        return await drawer(key_id)

    keyring = Keyring(find, Clock())
    with pytest.raises(Unavailable):
        await keyring.verify(key.text)
    away = False
    assert (await keyring.verify(key.text)).tenant == 7
