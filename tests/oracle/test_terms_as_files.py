"""Random terms as files and in words: what is written comes back, and every difference is said."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.drawing import Dice
from oracle.drawn_terms import currency_terms, fraud_rules, terms
from refref.core.terms import Terms, terms_to_json
from refref.core.terms_check import terms_from_json
from refref.core.terms_document import ProgramPart, TermsDocument, document_to_json, document_to_yaml, read_document
from refref.core.terms_words import differences, sentences_of, terms_for

examples = int(os.environ.get("HYPOTHESIS_EXAMPLES", "50"))
random_terms = settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def drawn(draw: st.DrawFn) -> Terms:
    dice = Dice(draw)
    return terms(dice, currency_terms(dice), fraud_rules(dice))


@random_terms
@given(drawn())
def test_what_is_written_comes_back(made: Terms) -> None:
    document = TermsDocument(ProgramPart(name="Sample"), made)
    assert read_document(document_to_yaml(document, "Head")) == document
    assert read_document(document_to_json(document)) == document
    assert terms_from_json(terms_to_json(made)) == made


@random_terms
@given(drawn(), drawn())
def test_every_difference_is_said(old: Terms, new: Terms) -> None:
    assert differences(old, old) == []
    assert bool(differences(old, new)) == (old != new)
    assert len(sentences_of(new)) >= len(new.rules)
    assert all(sentence.endswith(".") for sentence in sentences_of(terms_for(new, "ptc_1", ("gold",))))
