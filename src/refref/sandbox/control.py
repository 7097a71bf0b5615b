"""What the demo and the harnesses may tell the sandbox beside Stripe's API: JSON routes under /_sandbox/."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from refref.sandbox.arrival import Arrival
from refref.sandbox.control_connect import ACTIONS as CONNECT_ACTIONS
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.errors import StripeError
from refref.sandbox.faults import fault_fields
from refref.sandbox.sample import History
from refref.sandbox.sample_cast import PROMOTERS, Promoter, promoters_of
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc
from refref.sandbox.timeline import DAY, months_after
from refref.sandbox.weather import CONVERTED

KEEPING_UP_SECONDS = 0.2
COUNTED = ("customer", "checkout.session", "charge", "invoice", "subscription", "refund", "dispute")
Fields = Mapping[str, Any]


class Given(dict[str, Any]):
    """The fields of one action; asking for one that was not given is a refusal."""

    def __missing__(self, name: str) -> Any:
        raise StripeError(f"Missing field '{name}'.", code="parameter_missing", param=name)


class Control:
    """One method per thing that can be done. Live traffic sells by the codes of `promoters`."""

    def __init__(
        self,
        sandbox: Sandbox,
        deliveries: Deliveries,
        *,
        promoters: Sequence[Promoter] = PROMOTERS,
        history: History | None = None,
        live: bool = False,
    ) -> None:
        self.sandbox = sandbox
        self.deliveries = deliveries
        self.promoters = tuple(promoters)
        self.arrival = Arrival(sandbox, deliveries, history)
        self.live = live
        self._actions: dict[str, Callable[[Fields], tuple[str, Doc]]] = {
            "advance": self._advance,
            "buy": self._buy,
            "subscribe": self._buy,
            "upgrade": self._upgrade,
            "cancel": self._cancel,
            "keep": self._keep,
            "refund": self._refund,
            "dispute": self._dispute,
            "deliveries": self._weather,
            "deliver_all": self._deliver_all,
            "resend": self._resend,
            "rate_limit": self._rate_limit,
            "live": self._live,
            "faults": self._faults,
        }

    def do(self, what: str, fields: Fields) -> tuple[str, Doc]:
        """Do one thing; returns a sentence and the object it made or changed."""
        if what in CONNECT_ACTIONS:
            return CONNECT_ACTIONS[what](self.sandbox, Given(fields))
        action = self._actions.get(what)
        if action is None:
            raise StripeError(f"The sandbox cannot '{what}'.", status=404)
        return action(Given(fields))

    async def act(self, what: str, fields: Fields) -> tuple[str, Doc]:
        """`do`, without holding up others while a long way on the clock is gone."""
        if what == "advance" and "to" not in fields:
            return await self._advance_in_days(Given(fields))
        return self.do(what, fields)

    async def _advance_in_days(self, fields: Fields) -> tuple[str, Doc]:
        """`days`, `hours`, `months`, `years`: a day at a time, so that listeners keep up and pages are answered."""
        before = len(self.sandbox.events)
        spans = {name: int(fields.get(name, 0)) for name in ("days", "hours", "months", "years")}
        if min(spans.values()) < 0 or not any(spans.values()):
            raise StripeError("Say how far: days, hours, months or years.", param="days")
        months = spans["months"] + 12 * spans["years"]
        target = months_after(self.sandbox.now, months) + spans["days"] * DAY + spans["hours"] * 3600
        while self.sandbox.now < target:
            self.sandbox.advance(min(target, self.sandbox.now + DAY))
            with suppress(TimeoutError):
                await self.deliveries.drained(KEEPING_UP_SECONDS)
        events = len(self.sandbox.events) - before
        return f"The clock moved on; {events} events came of it.", {"now": self.sandbox.now, "events": events}

    def state(self) -> Doc:
        """The clock, how much there is of everything, and how deliveries go."""
        sb, sent = self.sandbox, self.deliveries
        return {
            "now": sb.now,
            "live": self.live,
            "events": len(sb.events),
            "counts": {kind: len(sb.live(kind)) for kind in COUNTED},
            "prices": [p["id"] for p in sb.live("price")],
            "endpoints": [{"id": e["id"], "url": e["url"], "status": e["status"]} for e in sb.live("webhook_endpoint")],
            "refcodes": [p.refcode for p in self.promoters],
            "promotion_codes": [p.promotion_code for p in self.promoters if p.promotion_code],
            "history": dict(zip(("arrived_months", "of_months"), self.arrival.months, strict=True)),
            "deliveries": {
                "delivered": sent.delivered,
                "waiting": sent.waiting,
                "failed": sent.failed,
                **msgspec.to_builtins(sent.weather),
            },
        }

    def _advance(self, fields: Fields) -> tuple[str, Doc]:
        """`to`, an instant."""
        done = self.sandbox.advance(fields["to"])
        return f"The clock moved on; {done['events']} events came of it.", done

    def _buy(self, fields: Fields) -> tuple[str, Doc]:
        """`price`, and `customer` or `email`; refcode, promotion_code, card, name, trial_days, metadata, guest."""
        price = self.sandbox.find("price", fields["price"], "price")
        more: Doc = {
            k: fields[k] for k in ("customer", "email", "name", "card", "promotion_code", "metadata") if k in fields
        }
        if "refcode" in fields:
            more["client_reference_id"] = fields["refcode"]
        if price["recurring"]:
            data = {"trial_period_days": int(fields.get("trial_days", 0)), "metadata": fields.get("metadata", {})}
            more["subscription_data"] = data
        elif "customer" not in fields and not fields.get("guest"):
            more["customer_creation"] = "always"
        session = self.sandbox.sell(price=price["id"], **more)
        return f"Sold {self.sandbox.product_name(price)}.", session

    def _upgrade(self, fields: Fields) -> tuple[str, Doc]:
        """`subscription` and `price`; proration_behavior (always_invoice), quantity, scheduled."""
        more = {k: fields[k] for k in ("quantity", "scheduled") if k in fields}
        behavior = fields.get("proration_behavior", "always_invoice")
        sub = self.sandbox.change_subscription(
            fields["subscription"], price=fields["price"], proration_behavior=behavior, **more
        )
        return "The subscription moved to another plan.", sub

    def _cancel(self, fields: Fields) -> tuple[str, Doc]:
        """`subscription`; at_period_end."""
        at_end = bool(fields.get("at_period_end", False))
        sentence = "The subscription ends with its period." if at_end else "The subscription is cancelled."
        return sentence, self.sandbox.cancel_subscription(fields["subscription"], at_period_end=at_end)

    def _keep(self, fields: Fields) -> tuple[str, Doc]:
        """`subscription`, whose end is taken back."""
        return "The subscription goes on.", self.sandbox.keep_subscription(fields["subscription"])

    def _refund(self, fields: Fields) -> tuple[str, Doc]:
        """`payment` (charge, payment intent, invoice or session); amount in minor units, all when absent; status."""
        amount = fields.get("amount")
        refund = self.sandbox.refund(
            fields["payment"],
            amount=None if amount is None else int(amount),
            reason="requested_by_customer",
            status=fields.get("status", "succeeded"),
        )
        return "Refunded.", refund

    def _dispute(self, fields: Fields) -> tuple[str, Doc]:
        """`payment` opens one (amount, inquiry); `dispute` and `status` moves one on or closes it."""
        if "payment" in fields:
            amount = fields.get("amount")
            opened = self.sandbox.dispute(
                fields["payment"],
                amount=None if amount is None else int(amount),
                inquiry=bool(fields.get("inquiry", False)),
            )
            return "A dispute is open.", opened
        closing = fields["status"] in ("won", "lost", "warning_closed", "prevented")
        move = self.sandbox.close_dispute if closing else self.sandbox.update_dispute
        return f"The dispute is {fields['status'].replace('_', ' ')}.", move(fields["dispute"], fields["status"])

    def _weather(self, fields: Fields) -> tuple[str, Doc]:
        """What `Weather` has, for all or for `types` (a list); `clear`; `seed`; `retry` (quick, test, live);
        `endpoint` with `api_version` re-pins one endpoint."""
        if "endpoint" in fields:
            self.sandbox.update_webhook_endpoint(fields["endpoint"], {"api_version": fields["api_version"]})
        if fields.get("clear"):
            self.deliveries.forecast.clear()
        if "seed" in fields:
            self.deliveries.forecast.rng.seed(int(fields["seed"]))
        if "retry" in fields:
            self.deliveries.retry_like(str(fields["retry"]))
        changes = {k: make(fields[k]) for k, make in CONVERTED.items() if k in fields}
        weather = self.deliveries.set_weather(types=tuple(fields.get("types", ())), **changes)
        return "Deliveries are set.", msgspec.to_builtins(weather)

    def _resend(self, fields: Fields) -> tuple[str, Doc]:
        """`event`: once more to `endpoint`, or to every endpoint that wants it."""
        count = self.deliveries.resend(fields["event"], fields.get("endpoint"))
        return f"{count} deliveries are on their way.", {"deliveries": count}

    def _rate_limit(self, fields: Fields) -> tuple[str, Doc]:
        """`reads` and `writes` a second; neither: no limit."""
        reads, writes = fields.get("reads"), fields.get("writes")
        self.sandbox.limit_rates(None if reads is None else int(reads), None if writes is None else int(writes))
        return "The rate limit is set.", {"reads": reads, "writes": writes}

    def _deliver_all(self, fields: Fields) -> tuple[str, Doc]:
        """`endpoint`: the whole history again, oldest first."""
        count = self.deliveries.deliver_all(fields["endpoint"])
        self.arrival.awaited.set()
        return f"{count} deliveries are on their way.", {"deliveries": count}

    def _live(self, fields: Fields) -> tuple[str, Doc]:
        """`on`; refcodes and promotion_codes (lists) for live traffic to use."""
        self.live = bool(fields.get("on", self.live))
        if "refcodes" in fields:
            self.promoters = promoters_of(list(fields["refcodes"]), list(fields.get("promotion_codes", [])))
        return f"Live traffic is {'on' if self.live else 'off'}.", {"live": self.live}

    def _faults(self, fields: Fields) -> tuple[str, Doc]:
        """What `fail_next` takes (kind, count, status, code, executed, remembered, seconds, method, path, percent);
        `clear`: no more faults; `seed`: start the chance anew."""
        given = dict(fields)
        if given.pop("clear", False):
            self.sandbox.faults.clear()
        if "seed" in given:
            self.sandbox.faults.reseed(int(given.pop("seed")))
        if given:
            self.sandbox.fail_next(**fault_fields(given))
        return "Faults are set.", {"faults": len(self.sandbox.faults)}


def control_routes(control: Control, trusted: Callable[[Request], bool]) -> list[BaseRoute]:
    """GET /_sandbox/state and POST /_sandbox/{what} with a JSON body, for callers that are `trusted`."""

    def answer(body: Any, status: int = 200) -> Response:
        return Response(msgspec.json.encode(body), status, media_type="application/json")

    async def state(request: Request) -> Response:
        return answer(control.state()) if trusted(request) else answer({"error": "Unknown host."}, 403)

    async def act(request: Request) -> Response:
        # A JSON content type cannot be sent across origins without the browser asking first.
        if not trusted(request) or not request.headers.get("content-type", "").startswith("application/json"):
            return answer({"error": "Send JSON from this machine."}, 403)
        try:
            said, done = await control.act(
                request.path_params["what"], msgspec.json.decode(await request.body() or b"{}", type=dict)
            )
        except StripeError as error:
            return answer({"error": error.message, "code": error.code}, error.status)
        except (msgspec.MsgspecError, ValueError) as error:
            return answer({"error": str(error)}, 400)
        return answer({"said": said, "object": {k: v for k, v in done.items() if k[0] != "_"}})

    routes: Sequence[tuple[str, Callable[[Request], Awaitable[Response]], str]] = (
        ("/_sandbox/state", state, "GET"),
        ("/_sandbox/{what}", act, "POST"),
    )
    return [Route(path, endpoint, methods=[method]) for path, endpoint, method in routes]
