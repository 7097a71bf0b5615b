"""Running a story: the clock, the steps in order, Stripe's events to facts to books, and the expectations on the way.

Pure but for what it is given: nothing outside the story is read or written.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from refref.core.custom_types import custom_paths
from refref.core.facts import CarrierKind, Fact
from refref.core.faults import Fault
from refref.core.ledger import BookedReward
from refref.core.periods import DAY_S
from refref.core.terms import Terms
from refref.core.terms_words import sentences_of
from refref.sandbox.deliveries import render_event_bytes
from refref.sandbox.store import Doc
from refref.sandbox.versions import known
from refref.simulator.answers import answer
from refref.simulator.books import Books, Settled
from refref.simulator.expecting import Judge, decisions_about
from refref.simulator.mode import Mode
from refref.simulator.names import participant_id
from refref.simulator.playing import Player, Unplayable
from refref.simulator.reading import ReadStory
from refref.simulator.result import Checked, Earned, Held, Moment, Played
from refref.simulator.sales import Sales, Unknown, customer_id
from refref.simulator.schedule import Planned, automatic, plan_steps
from refref.simulator.stage import Stage
from refref.simulator.step_words import step_sentence
from refref.simulator.story import Step
from refref.simulator.wording import Wording
from refref.simulator.written import day
from refref.stripe.readers import read
from refref.stripe.readers.custom import read_custom
from refref.told import ToldReferral, fact_of

MAX_EVENTS = 5_000
_decode = msgspec.json.Decoder(Doc).decode


def play_story(
    told: ReadStory, *, terms: Terms | None = None, terms_from: str = "the story", mode: Mode | None = None
) -> Played:
    """Play a story to its end. `terms`: instead of the story's own; `terms_from`: whose they are, for people.

    Raises DocumentRefused, with the line, where there are no terms or a step cannot happen.
    """
    chosen = terms or told.story.terms
    if chosen is None:
        sentence = "Say which terms hold: give `terms`, or choose a program."
        raise told.refusal([Fault("program" if told.story.program_id else "terms", sentence)])
    return StoryRun(told, chosen, mode or Mode()).play(terms_from)


@dataclass(slots=True)
class _Open:
    """A moment of the timeline that is being put together."""

    at: int
    happened: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    checked: list[Checked] = field(default_factory=list)


class StoryRun:
    """One playing of one story; afterwards its sandbox and books can be looked at."""

    def __init__(self, told: ReadStory, terms: Terms, mode: Mode) -> None:
        story = told.story
        self.told, self.terms, self.mode = told, terms, mode
        self.stage = Stage(story)
        self.sandbox = self.stage.sandbox
        self.sales = Sales()
        self.player = Player(self.stage, self.sales)
        self.books = Books(terms, story.participants)
        self.custom = custom_paths([terms])
        names = {participant_id(one): one.name or one.code for one in story.participants}
        names |= {customer_id(one.id): one.name or one.id for one in story.customers}
        self.wording = Wording(names, self.sales)
        self.judge = Judge(self.books, self.sales, self.wording, told.line_of)
        self.referrals_told: list[ToldReferral] = []
        self.moments: list[_Open] = []
        self.sent = len(self.sandbox.events)  # those that set the stage are nobody's sale
        self.settled_at = self.sandbox.now
        self.random = random.Random(mode.seed)  # noqa: S311 - disorder, not a secret
        for one in story.participants:
            for code in one.promotion_codes:
                self.books.own_code(self.stage.promotion_codes[code], participant_id(one))

    def play(self, terms_from: str) -> Played:
        """The whole story."""
        story = self.told.story
        self._take_events()
        waiting = automatic(story)
        for number, planned in enumerate(plan_steps(story)):
            at = max(planned.at if planned.waits is None else planned.waits.after(self.sandbox.now), self.sandbox.now)
            while waiting and waiting[0].at <= at:
                self._automatic(waiting.pop(0), f"happens.{number}")
            self._advance(at, f"happens.{number}")
            self._step(planned.step, f"happens.{number}")
        if story.expect is not None:
            checked = self.judge.check(story.expect, "expect")
            last = self._moment(self.sandbox.now, is_new=True)
            last.happened.append("The story ends.")
            last.checked.extend(checked)
        return self._played(terms_from)

    def _automatic(self, planned: Planned, where: str) -> None:
        """A sign-up, or a click of somebody who is known already."""
        self._advance(max(planned.at, self.sandbox.now), where)
        name = planned.step.customer
        if planned.step.signs_up and not self.stage.is_there(name):
            self._enter(name)
            self._moment(self.sandbox.now, is_new=True).happened.append(f"{self._shown(name)} signs up.")
            self._take_events()
        elif not planned.step.signs_up and self.stage.is_there(name):
            self._tell(name)
            self._settle(self.sandbox.now)

    def _step(self, step: Step, where: str) -> None:
        name = step.customer
        moment = self._moment(self.sandbox.now, is_new=True)
        sentence = step_sentence(step, self._shown(name))
        if sentence:
            moment.happened.append(sentence)
        try:
            if name and not self.stage.is_there(name):
                self._enter(name)
            self.player.play(step)
            self._review(step)
        except (Unplayable, Unknown) as problem:
            raise self.told.refusal([Fault(where, str(problem))]) from problem
        self._take_events(where)
        if step.expect is not None:
            moment = self._moment(self.sandbox.now)
            moment.checked.extend(self.judge.check(step.expect, f"{where}.expect"))

    def _review(self, step: Step) -> None:
        for sale, verdict in ((step.approves, "approved"), (step.rejects, "rejected")):
            if sale is not None:
                found = decisions_about(sale, self.books, self.sales)
                if not found:
                    raise Unplayable(f"Nothing was decided about {sale} yet.")
                self.books.review([stripe_id for one in found for stripe_id in (one.payment_key, *one.ids)], verdict)
                self._settle(self.sandbox.now)

    def _shown(self, name: str) -> str:
        return self.wording.name(customer_id(name)) if name else ""

    # Who referred ----------------------------------------------------------------------------------------------------

    def _enter(self, name: str) -> None:
        """A customer becomes known in Stripe; after a click the merchant's application tells who referred them."""
        self.stage.enter(name)
        referred = self.stage.customers[name].referred
        if referred is not None and referred.clicked and day(referred.clicked).instant <= self.sandbox.now:
            self._tell(name)

    def _tell(self, name: str) -> None:
        referred = self.stage.customers[name].referred
        assert referred is not None
        clicked = day(referred.clicked)
        now = self.sandbox.now
        told = ToldReferral(
            id=f"told_{name}",
            stripe_customer_id=customer_id(name),
            code=self.stage.refcodes[referred.by],
            kind=CarrierKind.SIGNUP,
            told_at=now,
            actor="story",
            campaign=referred.campaign,
            clicked_at=min(clicked.instant, now),
        )
        self.referrals_told.append(told)
        self.books.take([fact_of(told)])

    # Time and events -------------------------------------------------------------------------------------------------

    def _advance(self, to: int, where: str) -> None:
        """Let time pass day by day, so that whatever is asked of the sandbox is as old as the event that asks."""
        while self.sandbox.now < to:
            midnight = (self.sandbox.now // DAY_S + 1) * DAY_S
            self.sandbox.advance(min(to, midnight))
            self._take_events(where)
            self._pass_until(self.sandbox.now)

    def _take_events(self, where: str = "") -> None:
        """Deliver what happened since, an instant at a time; in the shuffled mode all of it in disorder."""
        fresh = self.sandbox.events_since(self.sent)
        self.sent += len(fresh)
        if self.sent > MAX_EVENTS:
            sentence = f"More than {MAX_EVENTS} events of Stripe by here: tell a shorter story."
            raise self.told.refusal([Fault(where, sentence)])
        for event in fresh:
            self.sales.note(event)
        for group in _by_instant(fresh):
            at = group[0]["created"]
            self._pass_until(at - 1)
            self._describe(group, at)
            self.books.take(self._facts(group))
            self._settle(at)

    def _facts(self, group: Sequence[Doc]) -> list[Fact]:
        version = self.mode.api_version
        delivered = [event for event in group if known(event["type"], version)] * self.mode.copies
        if self.mode.is_shuffled:
            self.random.shuffle(delivered)
        facts: list[Fact] = []
        for event in delivered:
            body = render_event_bytes(event, version)
            decoded = _decode(body)
            reading = read(decoded)
            facts.extend(reading.facts)
            facts.extend(read_custom(decoded, body, self.custom.get(event["type"], ())))
            for need in reading.needs:
                facts.extend(answer(self.sandbox, need, event["created"]))
        return facts

    def _describe(self, group: Sequence[Doc], at: int) -> None:
        moment = self._moment(at)
        for event in group:
            sentence = self.wording.event(event, self._customer_of(event["data"]["object"]))
            if sentence:
                moment.happened.append(sentence)
            moment.events.append(event["type"])

    def _customer_of(self, doc: Doc) -> str:
        """Whom an object concerns: refunds and disputes name the charge alone."""
        if not doc.get("customer") and doc.get("charge"):
            return str(self.sandbox.find("charge", doc["charge"])["customer"] or "")
        return str(doc.get("customer") or "")

    def _pass_until(self, at: int) -> None:
        """Book what the clock alone brings up to an instant: holds that end, rewards that expire."""
        while (then := self.books.next_change(self.settled_at, at)) is not None:
            self._settle(then)
        self.settled_at = max(self.settled_at, at)

    def _settle(self, at: int) -> None:
        self.settled_at = max(self.settled_at, at)
        settled = self.books.settle(at)
        if settled.decisions or settled.entries:
            self._moment(at).settled.append(settled)

    # The result ------------------------------------------------------------------------------------------------------

    def _moment(self, at: int, *, is_new: bool = False) -> _Open:
        """The moment of an instant: the last one where it is of the same instant, unless a new one is asked for."""
        if is_new or not self.moments or self.moments[-1].at != at:
            self.moments.append(_Open(at))
        return self.moments[-1]

    def _closed(self, moment: _Open) -> Moment:
        decisions = {one.payment_key: one for settled in moment.settled for one in settled.decisions}
        booked = [self.wording.entry(one) for settled in moment.settled for one in settled.entries]
        return Moment(
            moment.at,
            tuple(dict.fromkeys(moment.happened)),
            tuple(moment.events),
            tuple(self.wording.outcome(one) for one in decisions.values()),
            tuple(booked),
            tuple(moment.checked),
        )

    def _played(self, terms_from: str) -> Played:
        story = self.told.story
        moments = [self._closed(one) for one in self.moments]
        people = [*(participant_id(one) for one in story.participants), *(customer_id(c.id) for c in story.customers)]
        rewards = [self._earned(owner, reward) for owner in people for reward in self.books.rewards_of(owner)]
        balances = [
            Held(self.wording.name(owner), account, amount, currency)
            for owner in people
            for (account, currency), amount in self.books.balances(owner).items()
        ]
        return Played(
            story.title,
            story.about,
            terms_from,
            tuple(sentences_of(self.terms)),
            tuple(m for m in moments if m.happened or m.outcomes or m.booked or m.checked),
            tuple(rewards),
            tuple(balances),
            self.sent,
        )

    def _earned(self, owner: str, reward: BookedReward) -> Earned:
        decision = self.books.decisions.get(reward.payment_key)
        return Earned(
            self.wording.name(owner),
            self.wording.sale(decision) if decision else reward.payment_key,
            reward.rule_id,
            reward.kind,
            reward.amount,
            reward.reversed,
            reward.currency,
            reward.status,
        )


def _by_instant(events: Sequence[Doc]) -> list[list[Doc]]:
    """Events in groups of one instant each, in order."""
    groups: list[list[Doc]] = []
    for event in events:
        if not groups or groups[-1][0]["created"] != event["created"]:
            groups.append([])
        groups[-1].append(event)
    return groups
