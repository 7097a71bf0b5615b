"""Ids that look like Stripe's, made from a seed and counters: the same run gives the same ids."""

import hashlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

PREFIXES = {
    "application": "ca_",
    "bank_account": "ba_",
    "billing.credit_grant": "credgr_",
    "card": "card_",
    "entitlements.feature": "feat_",
    "payment": "py_",
    "payment_refund": "pyr_",
    "payout": "po_",
    "person": "person_",
    "product_feature": "prodft_",
    "topup": "tu_",
    "transfer": "tr_",
    "transfer_reversal": "trr_",
    "balance_transaction": "txn_",
    "charge": "ch_",
    "checkout.session": "cs_test_",
    "coupon": "",
    "credit_note": "cn_",
    "credit_note_line_item": "cnli_",
    "customer": "cus_",
    "customer_balance_transaction": "cbtxn_",
    "discount": "di_",
    "dispute": "du_",
    "event": "evt_",
    "invoice": "in_",
    "invoice_payment": "inpay_",
    "invoiceitem": "ii_",
    "item": "li_",
    "line_item": "il_",
    "payment_intent": "pi_",
    "payment_link": "plink_",
    "payment_method": "pm_",
    "price": "price_",
    "product": "prod_",
    "promotion_code": "promo_",
    "radar.early_fraud_warning": "issfr_",
    "refund": "re_",
    "request": "req_",
    "setup_intent": "seti_",
    "shipping_rate": "shr_",
    "subscription": "sub_",
    "subscription_item": "si_",
    "subscription_schedule": "sub_sched_",
    "tax_rate": "txr_",
    "test_helpers.test_clock": "clock_",
    "webhook_endpoint": "we_",
    "webhook_secret": "whsec_",
}
LENGTHS = {"customer": 14, "product": 14, "subscription_item": 14, "request": 14, "coupon": 8, "checkout.session": 58,
           "webhook_secret": 32}  # fmt: skip


def scramble(text: str, length: int) -> str:
    """`length` letters and digits that depend on `text` only."""
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=48).digest())
    letters: list[str] = []
    while len(letters) < length:
        number, rest = divmod(number, 62)
        letters.append(ALPHABET[rest])
    return "".join(letters)


class Ids:
    """Makes the next id of a kind: the n-th of a kind depends on the seed only, whatever else was made.

    `counts` is the only state; it is kept with the documents.
    """

    def __init__(self, seed: int, counts: dict[str, int] | None = None) -> None:
        self.seed = seed
        self.counts = counts or {}

    def make(self, kind: str) -> str:
        """A new id with the prefix of `kind`."""
        number = self.counts[kind] = self.counts.get(kind, 0) + 1
        return PREFIXES[kind] + scramble(f"{self.seed}:{kind}:{number}", LENGTHS.get(kind, 24))
