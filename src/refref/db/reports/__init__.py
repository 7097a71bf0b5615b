"""Read queries for lists and sums, used by the merchant's pages and by the JSON API.

Each takes the organization (and the connection), pages by keyset (`Page.next_cursor`) and returns frozen dataclasses.
They write nothing and decide nothing. Raise Refused("invalid_cursor") for a cursor that was not handed out.
"""

from refref.db.reports.audit import AuditRow, audit_page
from refref.db.reports.customers import (
    CustomerRow,
    ReferralRow,
    ReferralStatus,
    customer_by_id,
    customers_page,
    referrals_page,
)
from refref.db.reports.events import EVENT_STATES, EventDetail, EventRow, EventState, event_by_id, events_page
from refref.db.reports.overview import CurrencyTotals, DayTotals, Overview, daily_trend, overview_totals
from refref.db.reports.paging import Amount, Page
from refref.db.reports.participants import (
    Balance,
    CodeRow,
    ParticipantRow,
    ParticipantStatus,
    balances_of,
    codes_of,
    participant_by_id,
    participants_page,
)
from refref.db.reports.payouts import PayoutItemRow, PayoutRow, payout_items, payout_row, payouts_page
from refref.db.reports.reviews import ReviewRow, review_by_id, reviews_page
from refref.db.reports.rewards import (
    DecisionRow,
    EarnedSum,
    LedgerEntryRow,
    Outcome,
    RewardRow,
    RewardStatus,
    decision_reasons,
    decisions_page,
    ledger_entries_of_reward,
    reward_by_id,
    rewards_page,
)

__all__ = [
    "EVENT_STATES",
    "Amount",
    "AuditRow",
    "Balance",
    "CodeRow",
    "CurrencyTotals",
    "CustomerRow",
    "DayTotals",
    "DecisionRow",
    "EarnedSum",
    "EventDetail",
    "EventRow",
    "EventState",
    "LedgerEntryRow",
    "Outcome",
    "Overview",
    "Page",
    "ParticipantRow",
    "ParticipantStatus",
    "PayoutItemRow",
    "PayoutRow",
    "ReferralRow",
    "ReferralStatus",
    "ReviewRow",
    "RewardRow",
    "RewardStatus",
    "audit_page",
    "balances_of",
    "codes_of",
    "customer_by_id",
    "customers_page",
    "daily_trend",
    "decision_reasons",
    "decisions_page",
    "event_by_id",
    "events_page",
    "ledger_entries_of_reward",
    "overview_totals",
    "participant_by_id",
    "participants_page",
    "payout_items",
    "payout_row",
    "payouts_page",
    "referrals_page",
    "review_by_id",
    "reviews_page",
    "reward_by_id",
    "rewards_page",
]
