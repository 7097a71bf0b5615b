"""refref overview, payments, rewards, program show and update, participant list, from outside."""

from pathlib import Path

from cli.test_decisions import Run, refref, said, shop  # noqa: F401 - the fixture

# 20 % of dollars is owed in euros at a fixed rate of 0.50 euros; at most 50.00 euros in all.
TERMS = """{
  "currency": {"base": "eur", "conversion": "table", "table": {"usd": "0.5"}, "pays_in": "base"},
  "caps": [{"on": "program", "amounts": {"eur": 5000}}]
}"""


def test_what_was_earned_is_told_in_the_currency_of_the_rewards(refref: Run, database: str, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    participant_id = shop(refref, database, tmp_path, TERMS, 3)
    payments = said(refref("payments", "list", "--json"))
    assert [(row["currency"], row["paid_minor"]) for row in payments] == [("usd", 10_000)] * 3
    own = {"currency": "eur", "earned_minor": 1_000, "reversed_minor": 0}
    assert [row["earned"] for row in payments] == [[own]] * 3
    assert "100.00 USD  rewarded  10.00 EUR" in refref("payments", "list", "--limit", "1").stdout
    assert "No payments." in refref("payments", "list", "--reason", "not_attributed").stdout
    assert "No payments." in refref("payments", "list", "--not-referred").stdout
    assert len(said(refref("payments", "list", "--referred", "--json"))) == 3

    rewards = said(refref("rewards", "list", "--participant", participant_id, "--json"))
    assert [(row["currency"], row["amount_minor"]) for row in rewards] == [("eur", 1_000)] * 3
    assert "No rewards." in refref("rewards", "list", "--currency", "usd").stdout

    told = said(refref("overview", "--days", "60", "--json"))
    totals = {row["currency"]: row for row in told["currencies"]}
    assert (totals["usd"]["referred_minor"], totals["usd"]["earned_minor"]) == (30_000, 0)
    assert (totals["eur"]["referred_minor"], totals["eur"]["earned_minor"]) == (0, 3_000)
    assert told["estimate"]["currency"] == "usd"
    text = refref("overview", "--days", "60").stdout
    assert "3 payments, 3 of them referred" in text
    assert "All together, estimated: about referred 300.00 USD" in text
    assert "1 EUR = " in text


def test_a_program_is_shown_with_its_budget_and_its_texts_are_changed(
    refref: Run,  # noqa: F811 - the fixture
    database: str,
    tmp_path: Path,
) -> None:
    shop(refref, database, tmp_path, TERMS, 3)
    program_id = said(refref("program", "list", "--json"))[0]["program_id"]
    text = refref("program", "show", program_id).stdout
    assert "20 % of every payment." in text
    assert "Budget: 30.00 EUR of 50.00 EUR given (ever)" in text
    refref(
        "program",
        "update",
        program_id,
        "--name",
        "Friends",
        "--eligibility-text",
        "Customers",
        "--terms-text",
        "Small print",
    )
    told = said(refref("program", "show", program_id, "--json"))
    assert (told["name"], told["eligibility_text"], told["terms_text"]) == ("Friends", "Customers", "Small print")
    assert (told["budgets"][0]["given_minor"], told["terms_version"], told["has_draft"]) == (3_000, 1, False)
    refref("program", "pause", program_id)
    assert "Friends" in refref("program", "show", program_id).stdout
    people = said(refref("participant", "list", "--search", "p@example", "--json"))
    assert [(row["name"], row["codes"], row["referral_count"]) for row in people] == [("Sample partner", ["sample"], 3)]
    assert "30.00 EUR" in refref("participant", "list").stdout


REFUSALS = [
    (("payments", "list", "--outcome", "odd"), 2, "--outcome is one of: rewarded, refused, waiting."),
    (("rewards", "list", "--status", "odd"), 2, "--status is one of: pending, payable, held"),
    (("program", "show", "prg_no"), 1, "There is no program with this id"),
    (("program", "update", "prg_no"), 2, "say what to change"),
    (("program", "update", "prg_no", "--name", "x"), 1, "There is no program with this id"),
]


def test_what_cannot_be_told_is_refused_in_a_sentence(refref: Run) -> None:  # noqa: F811 - the fixture
    refref("user", "create", "--email", "a@example.com", "--new-organization", "Shop")
    refref("connection", "create", "--mode", "test")
    for arguments, code, sentence in REFUSALS:
        assert sentence in refref(*arguments, code=code).stderr, arguments
