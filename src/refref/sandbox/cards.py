"""The documented test cards and bank accounts: what each does when it is attached, charged or refunded. Pure."""

from dataclasses import dataclass

from refref.sandbox.errors import StripeError

DECLINE = "Your card was declined."
MESSAGES = {
    "card_declined": DECLINE,
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A test card or bank account and its behaviour.

    `code` and `reason`: the error and the decline code of every charge. `action`: the buyer must authenticate.
    `settles_late`: a bank debit. `dispute`: the reason of the dispute that follows a payment (`inquiry`: no money
    moves). `refund`: the status a refund starts with, or "failed" when it fails after it succeeded.
    """

    word: str
    last4: str = "1111"
    brand: str = "visa"
    kind: str = "card"
    code: str | None = None
    reason: str | None = None
    attachable: bool = True
    action: bool = False
    settles_late: bool = False
    dispute: str | None = None
    inquiry: bool = False
    refund: str = "succeeded"

    @property
    def present(self) -> bool:
        """Whether there is a card at all."""
        return self.word != "none"


def _declining(word: str, last4: str, reason: str | None, code: str = "card_declined") -> Card:
    return Card(word, last4, code=code, reason=reason, attachable=False)


ALL = (
    Card("visa", "4242"),
    Card("mastercard", "4444", "mastercard"),
    Card("amex", "0005", "amex"),
    Card("discover", "1117", "discover"),
    Card("debit", "5556"),
    Card("bypass_pending", "0077"),
    Card("none", "0000"),
    Card("declined", "0002", code="card_declined", reason="generic_decline"),
    _declining("insufficient_funds", "9995", "insufficient_funds"),
    _declining("lost", "9987", "lost_card"),
    _declining("stolen", "9979", "stolen_card"),
    _declining("blocked", "0019", "fraudulent"),
    _declining("expired", "0069", None, "expired_card"),
    _declining("incorrect_cvc", "0127", None, "incorrect_cvc"),
    _declining("processing_error", "0119", None, "processing_error"),
    Card("3ds", "3184", action=True),
    Card("disputed", "0259", dispute="fraudulent"),
    Card("not_received", "2685", dispute="product_not_received"),
    Card("inquired", "1976", dispute="fraudulent", inquiry=True),
    Card("refund_pending", "7726", refund="pending"),
    Card("refund_fails", "5126", refund="failed"),
    Card("sepa", "3000", kind="sepa_debit", settles_late=True),
    Card("ach", "6789", kind="us_bank_account", settles_late=True),
    Card("bacs", "2345", kind="bacs_debit", settles_late=True),
)
CARDS = {card.word: card for card in ALL}

NUMBERS = {
    "4242424242424242": "visa",
    "4000056655665556": "debit",
    "5555555555554444": "mastercard",
    "378282246310005": "amex",
    "6011111111111117": "discover",
    "4000000000000077": "bypass_pending",
    "4000000000000002": "declined",
    "4000000000000341": "declined",
    "4000000000009995": "insufficient_funds",
    "4000000000009987": "lost",
    "4000000000009979": "stolen",
    "4100000000000019": "blocked",
    "4000000000000069": "expired",
    "4000000000000127": "incorrect_cvc",
    "4000000000000119": "processing_error",
    "4000002500003155": "3ds",
    "4000002760003184": "3ds",
    "4000000000003220": "3ds",
    "4000000000000259": "disputed",
    "4000000000002685": "not_received",
    "4000000000001976": "inquired",
    "4000000000007726": "refund_pending",
    "4000000000005126": "refund_fails",
}
# The names after `pm_card_` (and `tok_`).
NAMES = {
    "bypassPending": "bypass_pending",
    "visa": "visa",
    "visa_debit": "debit",
    "mastercard": "mastercard",
    "amex": "amex",
    "discover": "discover",
    "chargeDeclined": "declined",
    "visa_chargeDeclined": "declined",
    "chargeCustomerFail": "declined",
    "visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "chargeDeclinedInsufficientFunds": "insufficient_funds",
    "visa_chargeDeclinedLostCard": "lost",
    "visa_chargeDeclinedStolenCard": "stolen",
    "radarBlock": "blocked",
    "chargeDeclinedFraudulent": "blocked",
    "chargeDeclinedExpiredCard": "expired",
    "chargeDeclinedIncorrectCvc": "incorrect_cvc",
    "chargeDeclinedProcessingError": "processing_error",
    "authenticationRequired": "3ds",
    "threeDSecure2Required": "3ds",
    "threeDSecureRequired": "3ds",
    "authenticationRequiredOnSetup": "3ds",
    "createDispute": "disputed",
    "createDisputeProductNotReceived": "not_received",
    "createDisputeInquiry": "inquired",
    "pendingRefund": "refund_pending",
    "refundFail": "refund_fails",
}
TOKENS = {
    **{f"{prefix}{name}": word for name, word in NAMES.items() for prefix in ("pm_card_", "tok_")},
    "pm_sepaDebit": "sepa",
    "pm_usBankAccount": "ach",
    "pm_usBankAccount_success": "ach",
    "pm_bacsDebit_success": "bacs",
}


def card_named(word: str) -> Card:
    """The card of that word; a word nobody knows is a card of its own that pays."""
    return CARDS.get(word) or Card(word)


def refusal(card: Card, **more: str) -> StripeError:
    """The 402 a charge of a declining card answers with."""
    code = card.code or "card_declined"
    details: dict[str, str] = {"advice_code": "try_again_later", "network_decline_code": "01", **more}
    if code == "card_declined":
        details["decline_code"] = card.reason or "generic_decline"
    return StripeError(MESSAGES[code], status=402, kind="card_error", code=code, more=details)


def unauthenticated() -> StripeError:
    """The 402 an off-session payment answers with when the buyer would have to authenticate."""
    return StripeError(
        "Your card was declined. This transaction requires authentication.",
        status=402,
        kind="card_error",
        code="authentication_required",
        more={"decline_code": "authentication_required"},
    )


def methodless() -> StripeError:
    """Nothing to pay with."""
    return StripeError(
        "This customer has no attached payment source or default payment method. Attach one, or use "
        "collection_method=send_invoice.",
        code="resource_missing",
        param="default_payment_method",
    )
