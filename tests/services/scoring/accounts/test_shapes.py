"""A list item's members are named for the description, for the live list and for the past: always the same ones."""

from collections import defaultdict

from services.scoring.accounts.answers import Listed, listed
from services.scoring.accounts.shapes import AccountItem


def test_an_item_of_the_list_has_the_members_of_its_description_in_their_order() -> None:
    row = defaultdict[str, str | None](lambda: None, needs_action="[]")
    assert list(listed(row, "JPY")) == list(AccountItem.model_fields) == list(Listed.__struct_fields__)
