"""An issuer of tokens for tests: keys, key sets, and tokens good and bad."""

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from shared.tokens import Issuer

ISSUER, AUDIENCE, TENANT = "https://id.example/", "genki", "t_7"
NOW = datetime(2026, 6, 15, 3, 0, tzinfo=UTC)
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1"})
KEYS = {"keys": [one.as_dict(private=False) for one in (RSA, EC, ED)]}


def issuer(**changes: Any) -> Issuer:
    """The issuer as it is configured."""
    given = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ["RS256", "ES256", "Ed25519"], "tenants": [TENANT]}
    return Issuer.model_validate({**given, **({} if "jwks_url" in changes else {"jwks": KEYS}), **changes})


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says, at `NOW`; a change to `...` leaves the claim out."""
    second = int(NOW.timestamp())
    told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "exp": second + 300, "iat": second - 5}
    told |= {"genki_tenant": TENANT, "genki_role": "manager", "genki_csm_id": "csm-1", **changes}
    return {name: value for name, value in told.items() if value is not ...}


def signed(payload: dict[str, Any] | bytes, key: Any = RSA, **header: Any) -> str:
    """A token signed by the key, by its own algorithm unless `alg` says otherwise."""
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519", "oct": "HS256"}[key.key_type]
    told = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **header}
    told = {name: value for name, value in told.items() if value is not ...}
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return jws.serialize_compact(told, body, key, algorithms=[told["alg"]])


def unsigned(payload: dict[str, Any], header: dict[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    return ".".join(b64(one) for one in (json.dumps(header).encode(), json.dumps(payload).encode(), signature))


def with_secret(payload: dict[str, Any], secret: bytes, size: str = "256") -> str:
    """A token made with a public key's text as an HMAC secret."""
    header = {"alg": f"HS{size}", "kid": "rsa-1", "typ": "JWT"}
    text = ".".join(b64(json.dumps(part).encode()) for part in (header, payload))
    return f"{text}.{b64(hmac.digest(secret, text.encode(), f'sha{size}'))}"


def b64(text: bytes) -> str:
    """Base64 as tokens write it."""
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
