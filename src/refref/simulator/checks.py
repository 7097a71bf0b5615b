"""Whether a story says what can be played: people, catalogue and terms. Steps are judged in `checks_steps`.

Takes a story of the right shape; tells every fault with its field and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from refref.core.faults import ID_SENTENCE, Fault
from refref.simulator.checks_steps import check_expectations, check_steps
from refref.simulator.names import Findings, Names, participant_id
from refref.simulator.story import Story
from refref.simulator.written import day, money, rate_bps, span

MAX_PEOPLE = 200
MAX_STEPS = 500
MAX_PRICES = 200
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_CODE_SENTENCE = "A code has 1 to 100 letters, digits, points, hyphens or underscores."
_EMAIL = re.compile(r"[^@\s]{1,100}@[^@\s]{1,200}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}")
_LIMITS = (("participants", MAX_PEOPLE), ("customers", MAX_PEOPLE), ("happens", MAX_STEPS))


def story_faults(story: Story) -> list[Fault]:
    """Every fault of a story, in the order of its parts; empty: it can be played."""
    found = Findings(Names(story))
    for name, most in _LIMITS:
        if len(getattr(story, name)) > most:
            return [Fault(name, f"A story has at most {most} of these.")]
    if not story.title.strip() or len(story.title) > 120:
        found.add("title", "Give the story a title of at most 120 characters.")
    if story.terms is not None and isinstance(story.program, str) and story.program:
        found.add("program", "Give the terms, or the program whose terms hold: one of the two.")
    found.read("starts", story.starts, day)
    _check_participants(story, found)
    _check_catalogue(story, found)
    _check_customers(story, found)
    check_steps(story, found)
    if story.expect is not None:
        check_expectations(story.expect, "expect", found)
    return found.faults


def _check_ids(
    ids: Sequence[str],
    where: str,
    name: str,
    found: Findings,
    pattern: re.Pattern[str] = _ID,
    sentence: str = ID_SENTENCE,
) -> None:
    for number, given in enumerate(ids):
        field = f"{where}.{number}.{name}"
        if not pattern.fullmatch(given):
            found.add(field, sentence)
        elif given in ids[:number]:
            found.add(field, f"“{given}” is the {name} of an earlier one: give each one of its own.")


def _check_person(field: str, email: str, country: str, found: Findings) -> None:
    if email and not _EMAIL.fullmatch(email):
        found.add(f"{field}.email", "Give an address such as buyer@example.com.")
    if country and not _COUNTRY.fullmatch(country):
        found.add(f"{field}.country", "Give two capital letters, such as DE.")


def _check_participants(story: Story, found: Findings) -> None:
    _check_ids([one.code for one in story.participants], "participants", "code", found, _CODE, _CODE_SENTENCE)
    ids = [participant_id(one) for one in story.participants]
    for number, one in enumerate(story.participants):
        where = f"participants.{number}"
        if one.id and (not _CODE.fullmatch(one.id) or one.id in ids[:number]):
            found.add(f"{where}.id", "Give each participant an id of its own, such as ptc_agency.")
        _check_person(where, one.email, one.country, found)
        for place, code in enumerate(one.promotion_codes):
            field = f"{where}.promotion_codes.{place}"
            found.known(field, code, found.names.promotion_codes, "promotion code")


def _check_catalogue(story: Story, found: Findings) -> None:
    catalogue = story.catalogue
    _check_ids([one.id for one in catalogue.products], "catalogue.products", "id", found)
    seen: set[str] = set()
    for number, product in enumerate(catalogue.products):
        for place, price in enumerate(product.prices):
            where = f"catalogue.products.{number}.prices.{place}"
            if not _ID.fullmatch(price.id):
                found.add(f"{where}.id", ID_SENTENCE)
            elif price.id in seen:
                found.add(f"{where}.id", f"“{price.id}” is the id of an earlier price: give each one of its own.")
            seen.add(price.id)
            for field, text in (
                ("amount", price.amount),
                *((f"also.{n}", other) for n, other in enumerate(price.also)),
            ):
                amount = found.read(f"{where}.{field}", text, money)
                if amount is not None and amount.amount_minor < 0:
                    found.add(f"{where}.{field}", "A price is not negative.")
            every = found.read_if_given(f"{where}.every", price.every, span)
            if every is not None and every.unit == "hour":
                found.add(f"{where}.every", "A price is charged every day, week, month or year.")
            _check_trial(f"{where}.trial", price.trial, found)
            if price.trial and not price.every:
                found.add(f"{where}.trial", "Only a price that is charged again and again has a trial: give `every`.")
    if len(seen) > MAX_PRICES:
        found.add("catalogue.products", f"A story has at most {MAX_PRICES} prices.")
    _check_discounts(story, found)


def _check_trial(field: str, text: str, found: Findings) -> None:
    given = found.read_if_given(field, text, span) if text != "none" else None
    if given is not None and given.unit not in ("day", "week"):
        found.add(field, "Stripe counts trials in days: write it such as 14 days.")


def _check_discounts(story: Story, found: Findings) -> None:
    catalogue = story.catalogue
    _check_ids([one.id for one in catalogue.coupons], "catalogue.coupons", "id", found)
    for number, coupon in enumerate(catalogue.coupons):
        where = f"catalogue.coupons.{number}"
        is_rate = coupon.off.rstrip().endswith("%")
        off = found.read(f"{where}.off", coupon.off, rate_bps if is_rate else money)
        if isinstance(off, int) and off % 100:
            found.add(f"{where}.off", "A coupon of a story takes whole per cents off, such as 10 %.")
        if coupon.lasts not in ("once", "forever"):
            lasts = found.read(f"{where}.lasts", coupon.lasts, span)
            if lasts is not None and lasts.unit not in ("month", "year"):
                found.add(f"{where}.lasts", "A coupon lasts once, forever, or so many months.")
    codes = [one.code for one in catalogue.promotion_codes]
    _check_ids(codes, "catalogue.promotion_codes", "code", found, _CODE, _CODE_SENTENCE)
    for number, code in enumerate(catalogue.promotion_codes):
        found.known(f"catalogue.promotion_codes.{number}.coupon", code.coupon, found.names.coupons, "coupon")
    _check_ids([one.id for one in catalogue.tax_rates], "catalogue.tax_rates", "id", found)
    for number, rate in enumerate(catalogue.tax_rates):
        found.read(f"catalogue.tax_rates.{number}.rate", rate.rate, rate_bps)


def _check_customers(story: Story, found: Findings) -> None:
    _check_ids([one.id for one in story.customers], "customers", "id", found)
    for number, one in enumerate(story.customers):
        where = f"customers.{number}"
        _check_person(where, one.email, one.country, found)
        found.read_if_given(f"{where}.signed_up", one.signed_up, day)
        if one.id in found.names.participants:
            found.add(f"{where}.id", f"“{one.id}” is a participant: give the customer an id of its own.")
        if one.referred is not None:
            found.known(f"{where}.referred.by", one.referred.by, found.names.participants, "participant")
            found.read_if_given(f"{where}.referred.clicked", one.referred.clicked, day)
