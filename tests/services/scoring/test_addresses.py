"""What no id can hold is told like any other mistake."""

import pytest

from tests.services.scoring.harness import House


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/accounts/%00", 404),
        ("/v1/accounts/a%00b/health", 404),
        ("/v1/usage?event=%00", 422),
        ("/v1/responses?account_id=%00", 422),
        ("/v1/usage?event=%2500", 200),
    ],
)
async def test_nul_in_an_address_is_refused_and_nothing_fails(house: House, path: str, status: int) -> None:
    tenant = await house.tenant()
    answer = await tenant.call("GET", path)
    assert answer.status_code == status
    if status == 422:
        assert answer.json()["errors"][0]["code"] == "nul"
