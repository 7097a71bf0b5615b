"""How often what a line sells is billed: day, week, month or year; "" where it is none of them, or not told."""

from __future__ import annotations

from refref.stripe.readers.probe import Payload, section, text_or_none, whole_or_none

DAY_S = 86_400
_OF_DAYS = {1: "day", 7: "week", 28: "month", 29: "month", 30: "month", 31: "month", 365: "year", 366: "year"}
_OF_PRICE = {("month", 1): "month", ("month", 12): "year", ("year", 1): "year"}


def invoice_line_interval(line: Payload) -> str:
    """The interval of a subscription's line, by its period, which every version tells (prices stand in older ones
    only); a short shape without a period goes by its price. Prorated lines have none: the caller knows them."""
    if not _is_of_subscription(line):
        return ""
    period = section(line, "period")
    start, end = whole_or_none(period, "start"), whole_or_none(period, "end")
    if start is None or end is None:
        return price_interval(line)
    days, rest = divmod(end - start, DAY_S)
    return "" if rest else _OF_DAYS.get(days, "")


def price_interval(item: Payload) -> str:
    """The interval of the price (or plan) that stands in an item or line; "" for a one-off or a quarterly one."""
    for key in ("price", "plan"):
        if type(item.get(key)) is dict:
            price = section(item, key)
            recurring = section(price, "recurring") or price
            unit = text_or_none(recurring, "interval")
            count = whole_or_none(recurring, "interval_count")
            return "" if unit is None else _named(unit, 1 if count is None else count)
    return ""


def _named(unit: str, count: int) -> str:
    if unit in ("day", "week"):
        return _OF_DAYS.get(count * (7 if unit == "week" else 1), "")
    return _OF_PRICE.get((unit, count), "")


def _is_of_subscription(line: Payload) -> bool:
    """Whether a subscription made the line; an item of an invoice may have a period too, and is billed once."""
    if line.get("parent") is not None:
        return section(line, "parent").get("subscription_item_details") is not None
    kind = text_or_none(line, "type")
    return line.get("subscription") is not None if kind is None else kind == "subscription"
