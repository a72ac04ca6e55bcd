"""Tokens of frontends: JSON Web Tokens of the issuers that the operator names, each for the tenants it names."""

from shared.tokens.rules import Claimed
from shared.tokens.settings import BadIssuers, Issuer, Issuers, read_issuers
from shared.tokens.verify import Tokens, looks_like_one

__all__ = ["BadIssuers", "Claimed", "Issuer", "Issuers", "Tokens", "looks_like_one", "read_issuers"]
