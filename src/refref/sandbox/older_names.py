"""Parameters as older API versions called them, brought to today's names; a call in today's version is left alone."""

from typing import Any

CLOVER = "2025-09-30"


def modern_names(call: str, data: dict[str, Any], version: str) -> dict[str, Any]:
    """The parameters of a call (`POST /v1/promotion_codes`), asked for in an API version, by today's names."""
    if call == "POST /v1/promotion_codes" and version[:10] < CLOVER and "coupon" in data:
        return {k: v for k, v in data.items() if k != "coupon"} | {
            "promotion": {"type": "coupon", "coupon": data["coupon"]}
        }
    return data
