"""Whose work an account is: a key of role csm writes of the accounts that its CSM looks after, and of no others."""

from shared.errors import Forbidden
from shared.tenancy import Principal


class NotYourAccount(Forbidden):
    """A CSM works on the accounts that the CSM looks after; this one is somebody else's."""


def own_only(asker: Principal, owner: str | None) -> None:
    """Raises NotYourAccount where the asker is a CSM and not the account's owner; a key that names no CSM owns none."""
    if asker.role == "csm" and (asker.csm_id is None or asker.csm_id != owner):
        raise NotYourAccount
