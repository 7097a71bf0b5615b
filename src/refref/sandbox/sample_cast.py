"""The sample promoters: who sends buyers to the sample shop, with which codes and in which program.

Known to the sandbox, whose sales carry the codes, and to the demo's set-up, which makes participants of them. All of
it is plainly sample. Imports nothing.
"""

from dataclasses import dataclass

# Programs of the demo: affiliates (anybody), friends (customers who refer), europe (partners who sell in euro).
AFFILIATES = (
    *("anchor", "birch", "cobalt", "delta", "ember", "fjord", "grove", "harbor", "indigo", "juniper", "kite"),
    *("lagoon", "maple", "nectar", "olive", "pebble", "quartz", "river", "sierra", "tulip", "umber", "violet"),
    *("willow", "zephyr"),
)
FRIENDS = ("apple", "breeze", "clover", "daisy", "echo", "fern", "ginger", "hazel", "iris", "jade")
EUROPE = ("alpine", "baltic", "coast", "danube", "etna", "fens")
WITH_PROMOTION_CODE = ("birch", "ember", "kite", "olive", "river", "alpine", "danube")

UNKNOWN_CODES = ("sample-nobody", "sample-ancor", "newsletter-spring")  # carried by sales, owned by no participant
SELF_REFERRAL = "sample-delta"  # its participant buys with this code


@dataclass(frozen=True, slots=True)
class Promoter:
    """One sample participant. `currency`: of what their buyers pay; empty: any."""

    program: str
    name: str
    email: str
    refcode: str
    promotion_code: str | None = None
    currency: str = ""


def _promoters() -> tuple[Promoter, ...]:
    made = []
    for number, word in enumerate(AFFILIATES, start=1):
        code = f"sample-{word}"
        made.append(Promoter("affiliates", f"Sample Partner {number}", f"partner{number}@example.com", code,
                             _promotion_code(word)))  # fmt: skip
    for number, word in enumerate(FRIENDS, start=1):
        # A friend is a customer of the sample shop: the same name and address as there.
        made.append(Promoter("friends", f"Sample Customer {number}", f"customer{number}@example.com",
                             f"sample-friend-{word}"))  # fmt: skip
    for number, word in enumerate(EUROPE, start=1):
        made.append(Promoter("europe", f"Sample Reseller {number}", f"reseller{number}@example.com",
                             f"sample-europe-{word}", _promotion_code(word), "eur"))  # fmt: skip
    return tuple(made)


def _promotion_code(word: str) -> str | None:
    return f"SAMPLE-{word.upper()}-10" if word in WITH_PROMOTION_CODE else None


def promoters_of(refcodes: list[str], promotion_codes: list[str]) -> tuple[Promoter, ...]:
    """Promoters for codes of somebody else's choosing; the n-th promotion code belongs to the n-th of them."""
    own = [*promotion_codes, *[None] * len(refcodes)]
    return tuple(
        Promoter("affiliates", f"Sample Partner {n}", f"partner{n}@example.com", refcode, own[n - 1])
        for n, refcode in enumerate(refcodes, start=1)
    )


PROMOTERS = _promoters()
