"""Terms as a file: what is written comes back, faults carry their line, and YAML's traps are none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refref.core.placed_file import DocumentRefused
from refref.core.templates import TEMPLATES
from refref.core.terms import Cap, QualifyingEvent, RewardRule, Terms, Tiers, TierStep
from refref.core.terms_document import (
    ProgramPart,
    TermsDocument,
    document_schema,
    document_to_json,
    document_to_yaml,
    read_document,
    read_terms,
)

PROGRAM = ProgramPart(name="Affiliates", program_id="prg_1")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.template_id)
def test_what_is_written_comes_back(template: Any) -> None:
    document = TermsDocument(PROGRAM, template.build("usd"))
    assert read_document(document_to_yaml(document, "Two\nlines")) == document
    assert read_document(document_to_json(document)) == document
    assert read_terms(document_to_yaml(document)) == document.terms


@given(
    st.text(max_size=60).map(str.strip).filter(bool).filter(lambda text: text.isprintable() and len(text) <= 120),
    st.text(max_size=200),
)
def test_any_text_comes_back(name: str, text: str) -> None:
    document = TermsDocument(ProgramPart(name=name, eligibility_text=text, terms_text=f"{text}\n"), Terms())
    assert read_document(document_to_yaml(document)) == document
    assert read_document(document_to_json(document)) == document


@given(st.text(max_size=400) | st.text(alphabet="{}[]:,-&*!|>'\"%@` \n\tabc019#?<", max_size=400))
def test_no_text_does_harm(text: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        read_document(text)
    assert all(fault.line >= 1 and fault.sentence for fault in refused.value.faults)


def test_a_file_in_words() -> None:
    terms = Terms(
        rules=(
            RewardRule(
                rule_id="pro",
                name="Pro plan",
                event="big",
                kind="both",
                rate_bps=2_000,
                amounts={"usd": 1_000, "jpy": 500},
                tiers=Tiers(by="revenue", currency="kwd", steps=(TierStep(at_least=5_000, rate_bps=1_250),)),
            ),
        ),
        events=(QualifyingEvent(event_id="big", min_net={"usd": 10_000}, countries=("NO",)),),
        caps=(Cap(on="reward", amounts={"usd": 5_000}),),
    )
    assert document_to_yaml(TermsDocument(PROGRAM, terms), "Terms of “Affiliates”") == FILE


FILE = """\
# Terms of “Affiliates”
program:
  name: Affiliates
  program_id: prg_1
terms:
  rules:
    - rule_id: pro
      name: Pro plan
      event: big
      to: referrer
      reward: commission
      kind: both
      rate_bps: 2000  # 20 %
      amounts:
        usd: 1000  # 10.00 USD
        jpy: 500  # 500 JPY
      tiers:
        by: revenue
        steps:
          - rate_bps: 1250  # 12.5 %
            at_least: 5000  # 5.000 KWD
        period: ever
        currency: kwd
  events:
    - event_id: big
      kind: any_purchase
      countries:
        - 'NO'
      min_net:
        usd: 10000  # 100.00 USD
  duration:
    unit: months
    count: 12
  hold_days: 30
  attribution_window_days: 60
  customers: new
  caps:
    - 'on': reward
      amounts:
        usd: 5000  # 50.00 USD
"""

START = "program:\n  name: Affiliates\nterms:\n"
FAULTY: list[tuple[str, int, str, str]] = [
    (f"{START}  rules:\n    - rule_id: a\n      rate_bps: 20000\n", 6, "terms.rules.0.rate_bps", "1 to 10000"),
    (f"{START}  rules:\n    - rule_id: a\n      rate_bps: '20 %'\n", 6, "terms.rules.0.rate_bps", "a whole number"),
    (f"{START}  rules:\n    - rule_id: a\n      rate: 2000\n", 6, "terms.rules.0.rate", "do you mean rate_bps?"),
    (f"{START}  rules:\n    - rate_bps: 2000\n", 5, "terms.rules.0.rule_id", "must be given"),
    (f"{START}  hold_days: 3\n  hold_days: 4\n", 5, "terms.hold_days", "twice"),
    (f"{START}  hold_days: &x 3\n", 4, "", "Anchors"),
    (f"{START}  <<: 3\n", 4, "terms.<<", "no such field"),
    (f"{START}  includes_tax: yes\n", 4, "terms.includes_tax", "Give true or false, not a text"),
    (f"{START}  hold_days: 1_0\n", 4, "terms.hold_days", "a whole number"),
    (f"{START}  hold_days: 010\n", 4, "terms.hold_days", "a whole number"),
    (f"{START}  starts_at: 2026-01-31\n", 4, "terms.starts_at", "with its time zone"),
    (f"{START}  hold_days: [\n", 5, "", "."),
    (f"{START}  hold_days: !!python/name:os.system 3\n", 4, "", "Could not determine a constructor"),
    ("terms: {}\n", 1, "program", "must be given"),
    ("program: {name: ''}\nterms: {}\n", 1, "program.name", "Give the program a name"),
    ("program: {name: A, nmae: B}\nterms: {}\n", 1, "program.nmae", "do you mean name?"),
    ("", 1, "", "Give fields with values"),
    ('{\n "program": {"name": "A"},\n "terms": {"hold_days": -1}}', 3, "terms.hold_days", "0 to 365"),
    ('{\n "program": {"name": "A"},\n "terms": {"hold_days" -1}}', 3, "", "This is no JSON"),
    ('{\n\t"program":\t{"name":\t"A"},\n\t"terms":\t{"hold_days":\t-1}}', 1, "terms.hold_days", "0 to 365"),
    ("[" * 5_000, 1, "", "no YAML"),
    ("a" * 500_001, 1, "", "at most 500000 characters"),
]


@pytest.mark.parametrize(("text", "line", "field", "words"), FAULTY, ids=[f"{n}" for n in range(len(FAULTY))])
def test_a_fault_carries_its_line_and_field(text: str, line: int, field: str, words: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        read_document(text)
    first = refused.value.faults[0]
    assert (first.line, first.field) == (line, field), first
    assert words in first.sentence, first


def test_all_faults_come_in_the_order_of_the_lines() -> None:
    text = (
        f"{START}  hold_days: 400\n  rules:\n    - rule_id: a\n      rate_bps: 0\n    - rule_id: a\n      rate_bps: 1\n"
    )
    with pytest.raises(DocumentRefused) as refused:
        read_document(text)
    assert [(fault.line, fault.field) for fault in refused.value.faults] == [
        (4, "terms.hold_days"),
        (7, "terms.rules.0.rate_bps"),
        (8, "terms.rules.1.rule_id"),
    ]


def test_yaml_has_no_traps() -> None:
    text = f"{START}  starts_at: 2026-01-31T00:00:00Z\n  rules:\n    - {{rule_id: no, on: first, rate_bps: 2000}}\n"
    found = read_document(text).terms
    assert (found.rules[0].rule_id, found.rules[0].on) == ("no", "first")
    assert found.starts_at is not None


def test_terms_alone_are_read_too() -> None:
    assert read_terms('{"hold_days": 7}').hold_days == 7
    assert read_terms("hold_days: 7").hold_days == 7
    with pytest.raises(DocumentRefused) as refused:
        read_terms("rules: []\nhold_days: 900")
    assert [(fault.line, fault.field) for fault in refused.value.faults] == [(1, "terms.rules"), (2, "terms.hold_days")]


def test_the_schema_knows_every_field_and_no_other() -> None:
    schema = json.loads(json.dumps(document_schema()))
    rule = schema["$defs"]["RewardRule"]
    assert rule["additionalProperties"] is False
    assert set(rule["properties"]) == set(RewardRule.__struct_fields__)
    assert rule["required"] == ["rule_id"]
