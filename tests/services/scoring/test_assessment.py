"""All rules of one account together."""

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from msgspec import structs

from services.scoring.account import AccountAt, Amounts, Override, Planned
from services.scoring.assessment import Assessment, Rulebook, assess, stand_at, stand_of, with_changes
from services.scoring.health.model import PublishedModel, preset
from shared.tenant_settings import TenantSettings
from tests.services.scoring.builders import TODAY, account, at, contract, moment, touch, used

RULES = Rulebook(TenantSettings(), (PublishedModel("m1", 1, preset("default")),), Amounts(1000, 400))


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def acme(**told: Any) -> AccountAt:
    known: dict[str, Any] = {
        "name": "Acme",
        "csm_id": "csm-1",
        "csm_name": "Mori",
        "team": "strategic",
        "customer_since": days_ago(400),
        "acv": 900,
        "potential_acv": 100,
        "seats": 10,
        "touches": (touch(days_ago(10)),),
        "usage": used(active_days_28=8, active_days_90=20, active_users_28=5, active_users_28_before=5, ids=12),
        "renewal_on": TODAY + timedelta(days=90),
    }
    return account(**{**known, **told})


def assessed(**told: Any) -> Assessment:
    return assess(acme(**told), moment(), RULES)


def test_an_assessment_brings_every_figure_of_the_list() -> None:
    found = assessed()
    assert (found.account_id, found.name, found.status, found.churned) == ("acme", "Acme", "active", False)
    assert (found.start, found.start_source, found.acv, found.value) == (days_ago(400), "customer_since", 900, 1000)
    assert (found.tier, found.rank, found.tenure, found.priority) == ("high", "B", "d", "Middle")
    assert (found.csm_id, found.csm_name, found.team) == ("csm-1", "Mori", "strategic")
    assert (found.eligible, found.covered, found.due_at) == (True, True, at(date(2026, 7, 5), 0))
    assert (found.in_use, found.contacted, found.active_users_28, found.ids) == (True, True, 5, 12)
    assert (found.model_id, found.model_version, found.needs_action) == ("m1", 1, ())


def test_the_score_is_the_weighted_mean_by_hand() -> None:
    # frequency .4·70 + .4·75 + .2·100 = 78; depth .5 → 65; relationship 10/31 → 100; trend 1 → 70; commercial 90 → 70
    by_hand = (35 * 78 + 15 * 65 + 10 * 100 + 5 * 70 + 5 * 70) / 70
    found = assessed()
    assert found.score == pytest.approx(by_hand, abs=1e-9)
    assert (found.band, found.effective_band, found.confidence) == ("green", "green", 0.7)
    assert sum(row["contribution"] or 0 for row in found.dimensions) == pytest.approx(by_hand, abs=1e-9)
    assert [row["name"] for row in json.loads(json.dumps(found.dimensions))] == [
        "frequency", "breadth", "depth", "relationship", "sentiment", "trend", "journey", "commercial",
    ]  # fmt: skip


def test_a_churned_account_has_no_score_no_tier_no_cell_and_needs_nothing() -> None:
    found = assessed(contracts=(contract("new", days_ago(300), 900), contract("churn", days_ago(1))))
    assert (found.status, found.acv, found.value, found.tier) == ("churned", 0, 100, None)
    assert (found.score, found.band, found.dimensions, found.confidence) == (None, "unknown", (), 0.0)
    assert (found.rank, found.tenure, found.priority, found.needs_action) == (None, None, None, ())
    assert (found.eligible, found.covered, found.due_at, found.in_use) == (False, None, None, False)
    assert found.last_contact is not None
    assert found.last_contact.id == "t"


def test_a_reactivated_account_is_eligible_again_with_its_old_contacts_and_start() -> None:
    back = (contract("new", days_ago(300), 900), contract("churn", days_ago(60)), contract("reactivation", TODAY, 500))
    found = assessed(contracts=back)
    assert (found.eligible, found.covered, found.acv, found.start) == (True, True, 500, days_ago(400))


def test_an_approved_exception_sets_the_tier_and_with_it_the_window() -> None:
    found = assessed(tier_exception="tech", touches=(touch(days_ago(100), "tech_touch"),))
    assert (found.tier, found.covered) == ("tech", True)
    assert assessed(touches=(touch(days_ago(100), "tech_touch"),)).covered is False


def test_a_tiers_own_model_scores_it() -> None:
    own = PublishedModel("m2", 2, preset("monthly_rhythm").model_copy(update={"tiers": ("low",)}))
    rules = replace(RULES, models=(*RULES.models, own))
    assert assess(acme(), moment(), rules).model_id == "m1"
    assert assess(acme(acv=300), moment(), rules).model_id == "m2"


def test_an_override_changes_the_effective_band_and_the_order_only() -> None:
    manual = Override("red", "sponsor left", "mori", at(TODAY, 13))
    found = assessed(override=manual)
    assert (found.band, found.effective_band, found.override) == ("green", "red", manual)
    assert found.score == assessed().score
    assert found.list_key < assessed().list_key
    assert [it.rule for it in found.needs_action] == []


@pytest.mark.parametrize(("last", "in_use"), [(0, True), (29, True), (30, False)])
def test_in_use_is_thirty_days(last: int, in_use: bool) -> None:
    assert assessed(usage=used(days_ago(last))).in_use is in_use


def test_a_contact_before_the_start_is_no_contact_of_the_contact_rate() -> None:
    assert assessed(customer_since=days_ago(5)).contacted is False
    assert assessed(customer_since=days_ago(10)).contacted is True


def test_changes_are_null_when_either_score_is() -> None:
    found = assessed()
    assert found.score is not None
    changed = with_changes(found, {1: found.score, 7: None, 28: found.score + 20})
    assert (changed.change_1d, changed.change_7d, changed.change_28d) == (0.0, None, pytest.approx(-20, abs=1e-9))
    assert [it.rule for it in changed.needs_action] == ["drop"]
    assert with_changes(changed, {1: 0.0, 7: 0.0, 28: found.score}).needs_action == ()
    assert with_changes(structs.replace(found, score=None), {1: 5.0, 7: 5.0, 28: 5.0}).change_1d is None


def test_a_planned_contact_within_a_week_puts_an_account_below_those_without() -> None:
    soon = Planned(at(TODAY + timedelta(days=7), 9), "meeting")
    later = Planned(at(TODAY + timedelta(days=8), 9), "meeting")
    assert assessed(planned=soon).call_first_key > assessed(acv=0).call_first_key
    assert assessed(planned=later).call_first_key == assessed().call_first_key
    assert assessed(planned=soon).planned_in_days == 7


def test_what_is_kept_of_an_earlier_day_is_what_the_assessment_says() -> None:
    gone = account("gone", status="churned", acv=5000, contracts=())
    for one in (acme(), account("x"), gone):
        assert stand_at(one, moment(), RULES) == stand_of(assess(one, moment(), RULES))
    assert stand_at(acme(), moment(), RULES).score is not None


def test_an_account_of_which_nothing_but_its_id_is_known_is_assessed() -> None:
    found = assess(account("x"), moment(first_usage_day=None, first_contact_at=None), RULES)
    assert (found.status, found.tier, found.score, found.band) == ("active", "tech", None, "unknown")
    assert (found.acv, found.value, found.priority, found.covered) == (None, 0, None, None)


def test_two_assessments_of_the_same_facts_are_equal_bit_for_bit() -> None:
    shuffled = acme(touches=(touch(days_ago(40)), touch(days_ago(10))))
    ordered = acme(touches=(touch(days_ago(10)), touch(days_ago(40))))
    assert assess(shuffled, moment(), RULES) == assess(ordered, moment(), RULES)
