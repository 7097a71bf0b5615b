"""The wire: a Starlette application that speaks Stripe's HTTP protocol over a `Sandbox`.

Keys, versions, form bodies, errors and idempotency are here; what each call does is in the `calls_*` modules.
"""

import hmac
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Lifespan

from refref.sandbox import calls_billing, calls_catalog, calls_sales
from refref.sandbox.accepted import ACCEPTED
from refref.sandbox.errors import StripeError
from refref.sandbox.form import Params, parse
from refref.sandbox.lists import SHELVES, Shelf, expand, shelf_page
from refref.sandbox.state import Sandbox
from refref.sandbox.store import API_VERSION, Doc, Fault
from refref.sandbox.versions import render

Call = Callable[[Sandbox, Params, str], Doc]
Answer = Callable[[Request], Awaitable[Response]]
TEST_KEY = re.compile(r"^(sk|rk)_test_\w+$")
VERSION = re.compile(r"^\d{4}-\d\d-\d\d(\.[a-z]+)?$")


@dataclass(frozen=True, slots=True)
class Kept:
    """The first answer to an idempotency key and what it was asked."""

    asked: str
    status: int
    body: bytes


@dataclass(slots=True)
class Wire:
    """What the application remembers between requests: allowed keys (none: any test key) and idempotent answers."""

    sandbox: Sandbox
    keys: tuple[str, ...] = ()
    answers: dict[str, Kept] = field(default_factory=dict)

    def check_key(self, request: Request) -> str:
        """The API key of a request; 401 when there is none or it is unknown."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            value = b64decode(value).decode().partition(":")[0]
        if not value:
            raise StripeError("You did not provide an API key.", status=401)
        allowed = any(hmac.compare_digest(value, key) for key in self.keys) if self.keys else TEST_KEY.match(value)
        if not allowed:
            raise StripeError(f"Invalid API Key provided: {value[:8]}****", status=401, code=None)
        return value


def create_app(
    sandbox: Sandbox,
    *,
    keys: Sequence[str] = (),
    extra: Sequence[BaseRoute] = (),
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """The API (and `extra` routes: the control page); `keys` limits who may call."""
    wire = Wire(sandbox, tuple(keys))
    routes: list[BaseRoute] = list(extra)
    for method, path, call in all_calls():
        accepts = ACCEPTED.get(f"{method} {path}", frozenset())
        routes.append(Route(path, _endpoint(wire, call, accepts), methods=[method]))
    routes.append(Route("/{path:path}", _unrecognized(wire), methods=["GET", "POST", "DELETE"]))
    return Starlette(routes=routes, lifespan=lifespan)


def all_calls() -> Iterable[tuple[str, str, Call]]:
    """Every call: method, path, function."""
    for calls in (calls_catalog.CALLS, calls_sales.CALLS, calls_billing.CALLS):
        yield from calls
    for name, shelf in SHELVES.items():
        yield "GET", f"/v1/{name}", _list_call(shelf, f"/v1/{name}")
        yield "GET", f"/v1/{name}/{{id}}", _get_call(shelf)


def _list_call(shelf: Shelf, url: str) -> Call:
    return lambda sb, params, _: shelf_page(sb, shelf, params, url)


def _get_call(shelf: Shelf) -> Call:
    return lambda sb, _, object_id: sb.find(shelf.kind, object_id)


def _endpoint(wire: Wire, call: Call, accepts: frozenset[str]) -> Answer:
    async def answer(request: Request) -> Response:
        request_id = wire.sandbox.ids.make("request")
        try:
            return await _served(wire, call, accepts, request, request_id)
        except StripeError as error:
            return _json(error.body(request_id), error.status, request_id)

    return answer


async def _served(wire: Wire, call: Call, accepts: frozenset[str], request: Request, request_id: str) -> Response:
    key = wire.check_key(request)
    version = request.headers.get("stripe-version", wire.sandbox.api_version)
    if not VERSION.match(version):
        raise StripeError(f"Invalid Stripe API version: {version}")
    text = request.url.query if request.method == "GET" else (await request.body()).decode()
    if request.method == "DELETE" and request.url.query:
        text = "&".join(filter(None, (text, request.url.query)))
    params = Params(parse(text))
    params.check(accepts)
    token = request.headers.get("idempotency-key") if request.method == "POST" else None
    asked = f"{request.method} {request.url.path} {text}"
    place = f"{key} {request.headers.get('stripe-account', '')} {token}"
    if token is not None and place in wire.answers:
        return _replayed(wire.answers[place], asked, token, request_id)
    fault = wire.sandbox.faults.pop(0) if wire.sandbox.faults else None
    if fault and not fault.executed:
        raise _failure(fault)
    status, body = _called(wire.sandbox, call, params, request, (request_id, token), version)
    answer = _json(body, status, request_id, version)
    if token is not None and status in (200, 402):
        wire.answers[place] = Kept(asked, status, bytes(answer.body))
        answer.headers["idempotency-key"] = token
    if fault:
        raise _failure(fault)
    return answer


def _failure(fault: Fault) -> StripeError:
    kind = "rate_limit_error" if fault.status == 429 else "api_error"
    return StripeError("The sandbox was told to fail this request.", status=fault.status, kind=kind, code=fault.code)


def _called(
    sb: Sandbox, call: Call, params: Params, request: Request, identity: tuple[str, str | None], version: str
) -> tuple[int, Doc]:
    """Run one call; a declined card is an answer too, because it is kept for its idempotency key."""
    try:
        with sb.requested(*identity):
            found = call(sb, params, request.path_params.get("id", ""))
            rendered = _rendered(found, version)
            if "secret" in found and found.get("object") == "webhook_endpoint":
                rendered["secret"] = found["secret"]
            return 200, expand(sb, rendered, params.rows("expand"), version)
    except StripeError as error:
        if error.status != 402:
            raise
        return 402, error.body(identity[0])


def _rendered(found: Doc, version: str) -> Doc:
    """An answer in the version asked for; an event stays in the version of its day."""
    if found.get("object") == "list":
        return {**found, "data": [_rendered(each, version) for each in found["data"]]}
    return render(found, found["api_version"] if found.get("object") == "event" else version)


def _replayed(kept: Kept, asked: str, token: str, request_id: str) -> Response:
    if kept.asked != asked:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{token}' if you meant to execute a different request."
        )
        raise StripeError(message, kind="idempotency_error")
    headers = {"idempotent-replayed": "true", "idempotency-key": token, "request-id": request_id}
    return Response(kept.body, kept.status, headers, media_type="application/json")


def _json(body: Doc, status: int, request_id: str, version: str = API_VERSION) -> Response:
    data = msgspec.json.format(msgspec.json.encode(body), indent=2)
    return Response(data, status, {"request-id": request_id, "stripe-version": version}, media_type="application/json")


def _unrecognized(wire: Wire) -> Answer:
    async def answer(request: Request) -> Response:
        message = f"Unrecognized request URL ({request.method}: {request.url.path})."
        return _json(StripeError(message, status=404).body("req_none"), 404, wire.sandbox.ids.make("request"))

    return answer
