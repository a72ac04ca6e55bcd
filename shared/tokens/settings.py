"""Whose tokens are believed: one JSON file, read when a process starts and refused as a whole when a part is wrong."""

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.tokens.rules import Wanted

# Asymmetric ones only: who can check a token must not be able to make one, and no public key may pass as a secret.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_SOURCES: Final = ("jwks", "jwks_file", "jwks_url")


class BadIssuers(Exception):
    """The file of issuers cannot be used."""


class Claims(BaseModel):
    """Where a token says whom it speaks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Name = "genki_tenant"
    role: Name = "genki_role"
    csm_id: Name = "genki_csm_id"


class Issuer(BaseModel):
    """One issuer: exactly one source of keys, and every tenant that it may speak for by its id; there is no "all"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Annotated[str, Field(min_length=1, max_length=500)]
    audience: Annotated[str, Field(min_length=1, max_length=500)]
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)]
    tenants: Annotated[tuple[Name, ...], Field(min_length=1)]
    jwks: dict[str, Any] | None = None
    jwks_file: Path | None = None
    jwks_url: str | None = None
    claims: Claims = Claims()
    leeway_seconds: Annotated[float, Field(ge=0, le=120)] = 30
    longest_seconds: Annotated[int, Field(ge=60, le=30 * 86_400)] = 86_400
    jwks_seconds: Annotated[int, Field(ge=30, le=86_400)] = 300

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(_SOURCES)} says where the keys are")
        if self.jwks_url is not None and not _is_safe(self.jwks_url):
            raise ValueError("jwks_url begins with https:// (http:// on this machine alone)")
        return self

    def wanted(self) -> Wanted:
        """What its tokens must say."""
        claims = self.claims
        return Wanted(
            self.issuer, self.audience, frozenset(self.tenants), claims.tenant, claims.role, claims.csm_id,
            self.leeway_seconds, self.longest_seconds,
        )  # fmt: skip


class Issuers(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuers: Annotated[tuple[Issuer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({one.issuer for one in self.issuers}) < len(self.issuers):
            raise ValueError("an issuer is named twice")
        return self


def read_issuers(path: Path) -> Issuers:
    """The file's issuers, `jwks_file` taken beside it. Raises BadIssuers in words that repeat nothing of a key."""
    try:
        found = Issuers.model_validate(json.loads(path.read_bytes()))
        told = [_with_keys(one, path.parent) for one in found.issuers]
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)]
        raise BadIssuers(f"{path}: {'; '.join(faults)}") from None
    except OSError as error:
        raise BadIssuers(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise BadIssuers(f"{path}: not JSON") from error
    return Issuers(issuers=tuple(told))


def _with_keys(issuer: Issuer, folder: Path) -> Issuer:
    if issuer.jwks_file is None:
        return issuer
    keys = json.loads((folder / issuer.jwks_file).read_bytes())
    if not isinstance(keys, dict):
        raise BadIssuers(f"{issuer.jwks_file}: not a JWK set")
    return issuer.model_copy(update={"jwks": keys, "jwks_file": None})


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )
