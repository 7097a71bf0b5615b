"""Why not: every reason has its gate, the one that matters is told, and unknown ids come with likely causes."""

import msgspec
import pytest

from refref.core.attribution import Evidence
from refref.core.decisions import HOLDS, REASONS, WAITING, Decision, RuleOutcome
from refref.core.facts import CarrierKind
from refref.core.reversals import ReversalItem
from refref.core.unknown_ids import IdSituation, causes_of
from refref.core.why_not import GATES, HOLD_GATES, REASON_GATES, stopped_by, stopped_event


def decision(
    reason: str,
    *rules: RuleOutcome,
    program_id: str = "prg_1",
    outcome: str = "refused",
    referee_id: str = "cus_1",
    is_held: bool = False,
) -> Decision:
    return Decision(
        payment_key="in_1",
        program_id=program_id,
        ids=("in_1",),
        referee_id=referee_id,
        outcome=outcome,
        reason=reason,
        occurred_at=0,
        currency="usd",
        source="invoice",
        paid=0,
        total=0,
        tax=0,
        shipping=0,
        off_stripe=0,
        refunded=0,
        rules=rules,
        is_held=is_held,
    )


def refusing(reason: str, rule_id: str = "r1") -> RuleOutcome:
    return RuleOutcome(rule_id, "refused", reason)


def test_every_reason_has_a_gate() -> None:
    assert REASON_GATES.keys() == REASONS.keys()
    assert HOLD_GATES.keys() == HOLDS.keys()
    assert {gate for gate, _, _ in (*REASON_GATES.values(), *HOLD_GATES.values())} <= set(GATES)


@pytest.mark.parametrize("referee_id", ["cus_1", "pi_guest"])
@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_comes_with_a_sentence_and_what_helps(reason: str, referee_id: str) -> None:
    outcome = "waiting" if reason in WAITING else "refused"
    for found in (
        stopped_by([decision(reason, outcome=outcome, referee_id=referee_id)]),
        stopped_by([decision("no_rule_applies", refusing(reason), outcome=outcome, referee_id=referee_id)]),
    ):
        assert found is not None
        assert (found.code, found.sentence) == (reason, REASONS[reason])
        assert found.remedy.endswith(".")
        assert "by hand" not in found.remedy or (referee_id.startswith("cus_") == ("Bind" in found.remedy))
        assert not found.href or found.href.startswith("/")


def earning(*, reason: str = "", holds: tuple[str, ...] = (), taken: int = 0, rule_id: str = "r1") -> RuleOutcome:
    return RuleOutcome(rule_id, "rewarded", reason, amount=100, reversed=taken, currency="usd", holds=holds)


HELD = [
    (decision("", earning(holds=("awaiting_approval",)), outcome="rewarded"), "awaiting_approval"),
    (decision("", earning(holds=("fraud_hold",)), outcome="rewarded"), "fraud_hold"),
    (decision("", earning(), outcome="rewarded", is_held=True), "dispute"),
    (decision("", earning(reason="rejected", taken=100), outcome="rewarded"), "rejected"),
    (decision("", earning(taken=100), outcome="rewarded"), "went_back"),
    (decision("", earning(taken=99), outcome="rewarded"), None),
    (decision("", earning(holds=("awaiting_approval",)), earning(rule_id="r2"), outcome="rewarded"), None),
]


@pytest.mark.parametrize(("given", "code"), HELD)
def test_a_reward_that_pays_nothing_yet_says_what_it_waits_for(given: Decision, code: str | None) -> None:
    found = stopped_by([given])
    assert (None if found is None else found.code) == code
    if found is not None:
        assert found.sentence.endswith(".")
        assert found.remedy.endswith(".")
        other = decision("", earning(), outcome="rewarded", program_id="prg_2")
        assert stopped_by([given, other]) is None
        assert stopped_by([given, msgspec.structs.replace(given, program_id="prg_2")]) == found
        assert stopped_by([given, decision("currency", program_id="prg_2")]) == found


STOPS = [
    ([decision("not_attributed")], ("attribution", "not_attributed", None)),
    ([decision("cap_reached", refusing("cap_reached"))], ("limits", "cap_reached", "r1")),
    (
        [decision("no_rule_applies", refusing("currency"), refusing("cap_reached", "r2"))],
        ("conditions", "currency", "r1"),
    ),
    ([decision("before_terms"), decision("below_minimum", program_id="prg_2")], ("conditions", "below_minimum", None)),
    ([decision("payment_pending", outcome="waiting")], ("payment", "payment_pending", None)),
]


@pytest.mark.parametrize(("decisions", "stop"), STOPS)
def test_the_rule_that_stopped_a_payment_is_told(decisions: list[Decision], stop: tuple[str, str, str | None]) -> None:
    found = stopped_by(decisions)
    assert found is not None
    assert (found.gate, found.code, found.rule_id) == stop
    assert found.sentence == REASONS[found.code]


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("needs_response", "Answer the dispute in Stripe: the reward is back when it is won."),
        ("under_review", "Answer the dispute in Stripe: the reward is back when it is won."),
        ("lost", "Nothing is to be done: the customer has the money back."),
    ],
)
def test_a_dispute_that_may_still_be_won_says_so(status: str, remedy: str) -> None:
    given = msgspec.structs.replace(
        decision("", earning(taken=100), outcome="rewarded"),
        reversals=(ReversalItem("du_1", "dispute", 100, "reversed", f"dispute_{status}"),),
    )
    found = stopped_by([given])
    assert found is not None
    assert (found.code, found.remedy) == ("went_back", remedy)


@pytest.mark.parametrize("reason", sorted(code for code, (_, _, href) in REASON_GATES.items() if href == "/programs"))
def test_a_remedy_of_the_terms_leads_to_the_program_and_says_since_when(reason: str) -> None:
    found = stopped_by([decision(reason)])
    assert found is not None
    assert found.href == "/programs/prg_1"
    if found.remedy.startswith("If it should have earned"):
        assert "in force since the day of the payment" in found.remedy


def test_an_unknown_code_is_named() -> None:
    evidence = Evidence(CarrierKind.CLIENT_REFERENCE, "anna", "cs_1", 0, "unknown_code")
    found = stopped_by([msgspec.structs.replace(decision("unknown_code"), evidence=(evidence,))])
    assert found is not None
    assert found.remedy == "Add the code “anna” to a participant; the payment is judged again."


def test_what_earned_in_some_program_was_not_stopped() -> None:
    assert stopped_by([decision("currency"), decision("", outcome="rewarded", program_id="prg_2")]) is None
    assert stopped_by([]) is None


def test_an_event_that_was_not_settled_stopped_it() -> None:
    assert stopped_event("done") is None
    found = stopped_event("parked")
    assert found is not None
    assert (found.gate, found.code) == ("delivery", "event_parked")


def around(**known: object) -> IdSituation:
    plain = {"mode": "live", "elsewhere": (), "events": (), "last_webhook": "2026-01-01T00:00:00Z", "has_history": True}
    return IdSituation(**{**plain, **known})  # type: ignore[arg-type]  # given by name


CAUSES = [
    ("in_1Sample", around(), ["never_arrived", "filtered_type", "other_account"]),
    ("in_1Sample", around(has_history=False), ["never_arrived", "before_connection", "filtered_type", "other_account"]),
    ("in_1Sample", around(elsewhere=("Other (test mode)",)), ["other_connection"]),
    ("cs_test_a1Sample", around(), ["other_mode"]),
    ("cs_live_a1Sample", around(mode="test"), ["other_mode"]),
    ("ch_1Sample", around(events=(("charge.succeeded", "parked"),)), ["event_parked"]),
    ("prod_1Sample", around(events=(("product.created", "ignored"),)), ["event_ignored"]),
    ("hello", around(), ["malformed"]),
    ("my_test_user@example.com", around(), ["no_such_address", "never_arrived", "filtered_type", "other_account"]),
    ("pi_1_test_Sample", around(), ["never_arrived", "filtered_type", "other_account"]),
    ("cs_test_a1Sample", around(mode=""), ["never_arrived", "filtered_type", "other_account"]),
    ("si_1Sample", around(), ["not_kept"]),
    ("sub_sched_1Sample", around(), ["not_kept"]),
    ("ptc_" + "a" * 20, around(), ["no_such_own_id"]),
    ("whsec_" + "a" * 32, around(), ["secret"]),
    ("in_1Sample", around(last_webhook=""), ["never_arrived", "filtered_type", "other_account"]),
    (
        "a@example.com",
        around(),
        ["no_such_address", "never_arrived", "filtered_type", "other_account"],
    ),
]


@pytest.mark.parametrize(("any_id", "situation", "codes"), CAUSES)
def test_an_unknown_id_comes_with_its_likely_causes(any_id: str, situation: IdSituation, codes: list[str]) -> None:
    causes = causes_of(any_id, situation)
    assert [cause.code for cause in causes] == codes
    assert all(cause.sentence.endswith(".") and cause.remedy.endswith(".") for cause in causes)
