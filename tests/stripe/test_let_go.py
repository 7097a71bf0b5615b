"""What was read of Stripe is let go of at once, not when the garbage collector comes by: pages are large and many."""

from __future__ import annotations

import asyncio
import gc

import httpx
from scripted_stripe import Answer, stripe_saying

from refref.stripe.client import StripeGateway


def test_no_answer_stays_in_memory() -> None:
    def script(path: str, query: dict[str, list[str]]) -> Answer:
        return 200, {"object": "list", "data": [{"id": "in_1"}], "has_more": False}

    async def work() -> int:
        async with stripe_saying(script) as (url, asked):
            gateway = StripeGateway("rk_test_sample0000", url)
            for _ in range(5):
                answer = await gateway.read("/v1/invoices", {"limit": 100})
                assert answer["data"] == [{"id": "in_1"}]
            assert len(asked) == 5
            kept = sum(type(item) is httpx.Response for item in gc.get_objects()) - before
            await gateway.close()
        return kept

    gc.collect()
    before = sum(type(item) is httpx.Response for item in gc.get_objects())  # what other tests keep
    gc.disable()
    try:
        assert asyncio.run(work()) == 0
    finally:
        gc.enable()
