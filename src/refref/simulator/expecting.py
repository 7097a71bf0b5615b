"""What a story expects against what came of it: each expectation met, or the difference explained step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from refref.core.decisions import REASONS, WAITING, Decision
from refref.core.ledger import BookedReward
from refref.core.money import format_amount
from refref.core.words import status_sentence
from refref.simulator.books import Books
from refref.simulator.names import split_sale
from refref.simulator.result import Checked
from refref.simulator.sales import Sales, Unknown, customer_id
from refref.simulator.story import Expectations, ExpectedRefusal, ExpectedReward
from refref.simulator.wording import Wording
from refref.simulator.written import money

_WHOLLY_BACK = ("reversed", "expired")
_MONEYLESS = ("discount", "feature")


class Judge:
    """Compares a story's expectations with the books. `owner_of`: a person of the story -> whose rewards those are."""

    def __init__(self, books: Books, sales: Sales, wording: Wording, line_of: Callable[[str], int]) -> None:
        self.books = books
        self.sales = sales
        self.wording = wording
        self.line_of = line_of

    def check(self, expected: Expectations, field: str) -> list[Checked]:
        """Every expectation, in the order of the file's parts; `field`: where they stand."""
        return [
            *(found for who in expected.rewards for found in self._rewards(who, expected.rewards[who], field)),
            *(self._refusal(one, f"{field}.refusals.{number}") for number, one in enumerate(expected.refusals)),
            *self._balances(expected, field),
            *self._referred(expected, field),
        ]

    def owner(self, who: str) -> str:
        """Whose rewards those of a person of the story are."""
        return who if who in self.books.participants else customer_id(who)

    # Rewards ----------------------------------------------------------------------------------------------------------

    def _rewards(self, who: str, given: Sequence[str | ExpectedReward], field: str) -> Iterator[Checked]:
        left = self.books.rewards_of(self.owner(who))
        wanted = [one if isinstance(one, ExpectedReward) else ExpectedReward(amount=one) for one in given]
        matched: dict[int, BookedReward] = {}
        for number, one in enumerate(wanted):
            found = next((reward for reward in left if not self._misfits(one, reward)), None)
            if found is not None:
                left.remove(found)
                matched[number] = found
        for number, one in enumerate(wanted):
            place = f"{field}.rewards.{who}.{number}"
            text = self._text(who, one)
            if number in matched:
                yield Checked(self.line_of(place), text, True)
                continue
            nearest = next((reward for reward in left if self._is_of(one, reward)), None)
            if nearest is not None:
                left.remove(nearest)
            difference = self._difference(one, nearest) if nearest else self._missing(who, one)
            yield Checked(self.line_of(place), text, False, tuple(difference))
        line = self.line_of(f"{field}.rewards.{who}")
        if not given:
            yield Checked(line, f"{self.wording.name(self.owner(who))} has no rewards", not left, self._surplus(left))
        elif left:
            yield Checked(
                line, f"{self.wording.name(self.owner(who))} has no other rewards", False, self._surplus(left)
            )

    def _text(self, who: str, one: ExpectedReward) -> str:
        what = [one.kind or "", one.amount, f"by the rule {one.rule}" if one.rule else ""]
        sale = f"for {one.sale}" if one.sale else ""
        status = [one.status or "", f"{one.taken_back} taken back" if one.taken_back else ""]
        said = " ".join(part for part in (*what, sale) if part) or "a reward"
        return ", ".join([f"{self.wording.name(self.owner(who))}: {said}", *(part for part in status if part)])

    def _is_of(self, one: ExpectedReward, reward: BookedReward) -> bool:
        """Whether a reward is the one that is meant, however much it is."""
        is_named = not one.sale or self._is_sale(one.sale, reward.payment_key)
        return is_named and one.rule in ("", reward.rule_id) and one.kind in (None, reward.kind)

    def _misfits(self, one: ExpectedReward, reward: BookedReward) -> bool:
        return not self._is_of(one, reward) or any(True for _ in self._unlike(one, reward))

    def _unlike(self, one: ExpectedReward, reward: BookedReward) -> Iterator[str]:
        """Where a reward is not as expected, each in a sentence."""
        earned = format_amount(reward.amount, reward.currency)
        if one.amount and money(one.amount) != (reward.amount, reward.currency):
            yield f"Expected {one.amount}, earned {earned}."
        back = money(one.taken_back).amount_minor if one.taken_back else 0
        if not one.taken_back and one.status in _WHOLLY_BACK:
            back = reward.amount
        if reward.kind not in _MONEYLESS and back != reward.reversed and reward.status != "expired":
            taken = format_amount(reward.reversed, reward.currency)
            expected = one.taken_back or (earned if back else "nothing")
            yield f"Expected that {expected} was taken back; it was {taken}."
        if one.status is not None and one.status != reward.status:
            held = self._holds(reward)
            yield f"Expected {one.status}, but: {status_sentence(reward.status, reward.hold_until, held)}"

    def _holds(self, reward: BookedReward) -> Sequence[str]:
        decision = self.books.decisions.get(reward.payment_key)
        rules = decision.rules if decision is not None else ()
        return next((rule.holds for rule in rules if rule.rule_id == reward.rule_id), ())

    def _difference(self, one: ExpectedReward, reward: BookedReward) -> Iterator[str]:
        yield from self._unlike(one, reward)
        decision = self.books.decisions.get(reward.payment_key)
        if decision is not None:
            yield f"Because, for {self.wording.sale(decision)}:"
            yield from self.wording.because(decision, reward.rule_id)

    def _missing(self, who: str, one: ExpectedReward) -> Iterator[str]:
        """Why there is no such reward."""
        name = self.wording.name(self.owner(who))
        yield f"Expected {one.amount or 'a reward'}, but {name} earned nothing" + (
            f" for {one.sale}." if one.sale else " more."
        )
        if not one.sale:
            return
        try:
            found = self._about(one.sale)
        except Unknown as unknown:
            yield str(unknown)
            return
        if not found:
            yield f"Nothing was decided about {one.sale} yet: it is not paid."
        for decision in found:
            yield self.wording.outcome(decision).sentence
            yield from self.wording.because(decision, one.rule)

    def _surplus(self, left: Sequence[BookedReward]) -> tuple[str, ...]:
        """Rewards that the story does not expect, with their explanation."""
        lines: list[str] = []
        for reward in left:
            decision = self.books.decisions.get(reward.payment_key)
            amount = reward.kind if reward.kind in _MONEYLESS else format_amount(reward.amount, reward.currency)
            sale = self.wording.sale(decision) if decision else reward.payment_key
            lines.append(f"There is also {amount} for {sale} ({reward.status}), by the rule {reward.rule_id}.")
            lines.extend(self.wording.because(decision, reward.rule_id) if decision else ())
        return tuple(lines)

    # Sales ------------------------------------------------------------------------------------------------------------

    def _about(self, name: str) -> list[Decision]:
        return decisions_about(name, self.books, self.sales)

    def _is_sale(self, name: str, key: str) -> bool:
        try:
            return any(one.payment_key == key for one in self._about(name))
        except Unknown:
            return False

    # Refusals, balances, referrals ------------------------------------------------------------------------------------

    def _refusal(self, one: ExpectedRefusal, field: str) -> Checked:
        text = f"{one.sale} earns nothing{f' by the rule {one.rule}' if one.rule else ''}: {REASONS[one.reason]}"
        line = self.line_of(field)
        try:
            found = self._about(one.sale)
        except Unknown as unknown:
            return Checked(line, text, False, (str(unknown),))
        for decision in found:
            reasons = {rule.reason for rule in decision.rules if one.rule in ("", rule.rule_id)}
            reasons |= {decision.reason} if not one.rule or not decision.rules else set()
            if one.reason in reasons:
                return Checked(line, text, True)
        if not found:
            return Checked(line, text, False, (f"Nothing was decided about {one.sale} yet: it is not paid.",))
        lines = [line for d in found for line in (self._decided(d), *self.wording.because(d, one.rule))]
        return Checked(line, text, False, tuple(lines))

    def _decided(self, decision: Decision) -> str:
        said = self.wording.outcome(decision).sentence
        if decision.outcome == "rewarded":
            return f"It earned something: {said}"
        word = "It waits" if decision.reason in WAITING else "The reason is another"
        return f"{word} ({decision.reason}): {said}"

    def _balances(self, expected: Expectations, field: str) -> Iterator[Checked]:
        for who, balance in expected.balances.items():
            owner = self.owner(who)
            found = self.books.balances(owner)
            for account in ("pending", "payable", "held"):
                texts: tuple[str, ...] = getattr(balance, account)
                wanted = {given.currency: given.amount_minor for given in map(money, texts) if given.amount_minor}
                there = {currency: amount for (name, currency), amount in found.items() if name == account}
                if not texts and not there:
                    continue
                text = f"{self.wording.name(owner)} has {_amounts(wanted)} {account}"
                difference = () if wanted == there else (f"Expected {_amounts(wanted)}, there is {_amounts(there)}.",)
                more = () if wanted == there else self._of_account(owner, account)
                place = f"{field}.balances.{who}.{account}"
                yield Checked(self.line_of(place), text, not difference, (*difference, *more))

    def _of_account(self, owner: str, account: str) -> tuple[str, ...]:
        """The entries that make up a balance."""
        own = [one for one in self.books.entries if (account, owner) in (one.source, one.destination)]
        return tuple(self.wording.entry(one) for one in own)

    def _referred(self, expected: Expectations, field: str) -> Iterator[Checked]:
        for customer, participant in expected.referred.items():
            owner = customer_id(customer)
            found = self.books.referrals.get(owner)
            by = found.participant_id if found is not None else ""
            who = self.wording.name(owner)
            text = f"{who} was referred by {self.wording.name(participant) if participant else 'nobody'}"
            difference: list[str] = []
            if by != participant:
                difference.append(f"{who} was referred by {self.wording.name(by) if by else 'nobody'}.")
                difference.extend(
                    line
                    for one in self.books.decisions.values()
                    if one.referee_id == owner
                    for line in self.wording.evidence(one)
                )
            unique = tuple(dict.fromkeys(difference))
            yield Checked(self.line_of(f"{field}.referred.{customer}"), text, not difference, unique)


def decisions_about(name: str, books: Books, sales: Sales) -> list[Decision]:
    """The decisions about a sale, or about a customer's conversions of a kind (`buyer/signup`). Raises Unknown."""
    parts = split_sale(name)
    owner, which = parts if parts is not None else (name, "")
    if which and not which.isdigit():
        whose = sales.owner_id(owner)
        return [
            one
            for one in books.decisions.values()
            if whose in (one.referee_id, one.payment_key.partition("/")[0])
            and one.payment_key.partition("/")[2].partition("/")[0] == which
        ]
    found = books.decision_of(sales.sale(name))
    return [] if found is None else [found]


def _amounts(by_currency: dict[str, int]) -> str:
    shown = [format_amount(amount, currency) for currency, amount in sorted(by_currency.items())]
    return " and ".join(shown) or "nothing"
