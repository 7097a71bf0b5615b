"""The wire: a Starlette application that speaks Stripe's HTTP protocol over a `Sandbox`.

A request passes its key, the rate limit, its version, its parameters, its idempotency key and the faults, in this
order; what each call does is in the `calls_*` modules.
"""

import hmac
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Lifespan

from refref.sandbox import (
    calls_billing,
    calls_catalog,
    calls_connect,
    calls_grants,
    calls_money,
    calls_sales,
    payment_pages,
    witness,
)
from refref.sandbox.answers import Api, as_json, struck
from refref.sandbox.billing_pages import BillingPages
from refref.sandbox.connect_pages import ConnectPages
from refref.sandbox.errors import StripeError, publishable_key, rate_limited
from refref.sandbox.form import Params, parse
from refref.sandbox.idempotency import Answers, Kept
from refref.sandbox.lists import SHELVES, Shelf, expand, shelf_page
from refref.sandbox.oauth_wire import oauth_routes
from refref.sandbox.older_names import modern_names
from refref.sandbox.request_form import check_form
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc
from refref.sandbox.versions import render
from refref.sandbox.witness import Exchange

Call = Callable[[Sandbox, Params, str], Doc]
Answer = Callable[[Request], Awaitable[Response]]
TEST_KEY = re.compile(r"^(sk|rk)_test_\w+$")
VERSION = re.compile(r"^\d{4}-\d\d-\d\d(\.[a-z]+)?$")


@dataclass(slots=True)
class Wire:
    """What the application remembers between requests: allowed keys (none: any test key) and idempotent answers."""

    sandbox: Sandbox
    keys: tuple[str, ...] = ()
    answers: dict[Sandbox, Answers] = field(default_factory=dict)

    def account(self, request: Request) -> Sandbox:
        """The account that a request is about; raises when its key is unknown."""
        headers = request.headers
        named = headers.get("stripe-account") or headers.get("stripe-context")
        return self.sandbox.accounts.acting(self.check_key(request), named, request.method, request.url.path)

    def platform(self, request: Request, secret: str | None) -> Sandbox:
        """The account whose secret key came with an OAuth request, in its header or as `client_secret`."""
        key = self.check_key(request) if secret is None else self.known(secret)
        return self.sandbox.accounts.acting(key, None, request.method, request.url.path)

    def answers_of(self, sandbox: Sandbox) -> Answers:
        """The idempotent answers of an account."""
        if sandbox not in self.answers:
            self.answers[sandbox] = Answers(sandbox)
        return self.answers[sandbox]

    def check_key(self, request: Request) -> str:
        """The API key of a request; 401 when there is none or it is unknown."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            value = b64decode(value).decode("latin-1").partition(":")[0]
        if not value:
            raise StripeError("You did not provide an API key.", status=401)
        return self.known(value)

    def known(self, value: str) -> str:
        """A key that may be used; 401 when it is unknown."""
        if self.sandbox.accounts.keys.owner(value) is not None:
            return value
        if value.startswith("pk_"):
            raise publishable_key()
        given = value.encode()
        own = any(hmac.compare_digest(given, key.encode()) for key in self.keys)
        allowed = own if self.keys else TEST_KEY.match(value)
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
    for method, path, call in (*all_calls(), *payment_pages.CALLS):
        routes.append(Route(path, _endpoint(wire, call, f"{method} {path}"), methods=[method]))
    routes += BillingPages(sandbox).routes()
    routes += [*ConnectPages(sandbox).routes(), *oauth_routes(sandbox, wire.platform)]
    routes.append(Route("/{path:path}", _unrecognized(wire), methods=["GET", "POST", "DELETE"]))
    return Api(routes=routes, lifespan=lifespan)


def all_calls() -> Iterable[tuple[str, str, Call]]:
    """Every public call: method, path, function."""
    for module in (calls_catalog, calls_sales, calls_billing, calls_connect, calls_money, calls_grants):
        yield from module.CALLS
    for name, shelf in SHELVES.items():
        yield "GET", f"/v1/{name}", _list_call(shelf, f"/v1/{name}")
        yield "GET", f"/v1/{name}/{{id}}", _get_call(shelf)


def _list_call(shelf: Shelf, url: str) -> Call:
    return lambda sb, params, _: shelf_page(sb, shelf, params, url)


def _get_call(shelf: Shelf) -> Call:
    return lambda sb, _, object_id: sb.find(shelf.kind, object_id)


def _endpoint(wire: Wire, call: Call, name: str) -> Answer:
    async def answer(request: Request) -> Response:
        request_id = wire.sandbox.ids.make("request")
        try:
            asked = await _asked(wire, request, request_id)
        except StripeError as error:
            return as_json(error.body(request_id), error.status, request_id, headers=error.headers)
        try:
            return await _served(wire, call, name, asked)
        except StripeError as error:
            body = error.body(request_id)
            _tell(asked, error.status, body)
            return as_json(body, error.status, request_id, asked.version, error.headers)

    return answer


def _tell(asked: "Asked", status: int, body: Doc) -> None:
    for tell in witness.exchanges:
        tell(Exchange(asked.method, asked.path, asked.text, asked.version, status, body))


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that may be served: whose it is, in which version, its parameters, and its idempotency key."""

    sandbox: Sandbox
    method: str
    path: str
    object_id: str
    text: str
    version: str
    request_id: str
    token: str | None
    place: str | None
    on_behalf_of: str | None  # the account, when a platform asks for it: events then name it


async def _asked(wire: Wire, request: Request, request_id: str) -> Asked:
    """Key, rate and version of a request; a refusal of any of them comes before its parameters are looked at."""
    sandbox = wire.account(request)
    if sandbox.rate_limit is not None and not sandbox.rate_limit.allows(request.method):
        raise rate_limited()
    version = request.headers.get("stripe-version", sandbox.api_version)
    if not VERSION.match(version):
        raise StripeError(f"Invalid Stripe API version: {version}")
    text = request.url.query if request.method == "GET" else (await request.body()).decode()
    if request.method == "DELETE" and request.url.query:
        text = "&".join(filter(None, (text, request.url.query)))
    token = request.headers.get("idempotency-key") if request.method == "POST" else None
    place = None if token is None else f"{request.headers.get('stripe-account', '')} {token}"
    object_id = "/".join(request.path_params.values())  # of a part of something: both ids
    named = sandbox.account_id if "stripe-account" in request.headers else None
    return Asked(sandbox, request.method, request.url.path, object_id, text, version, request_id, token, place, named)


async def _served(wire: Wire, call: Call, name: str, asked: Asked) -> Response:
    params = Params(modern_names(name, parse(asked.text), asked.version))
    check_form(name, params.data, asked.version)
    sb, answers = asked.sandbox, wire.answers_of(asked.sandbox)
    first = f"{asked.method} {asked.path} {asked.text}"
    with answers.working(asked.place, asked.token):
        if asked.place is not None:
            kept = answers.find(asked.place, first, asked.token or "")
            if kept is not None:
                return _replayed(kept, asked)
        fault = sb.faults.take(asked.method, asked.path)
        if fault is not None and not fault.executed:
            broken = await struck(fault, None)
            if broken is not None:
                return broken
        status, body = _called(call, params, asked)
        if fault is not None and fault.executed and fault.remembered:
            status, body = fault.status, fault.error().body(asked.request_id)
        answer = as_json(body, status, asked.request_id, asked.version)
        if asked.place is not None and asked.token is not None:
            answers.keep(asked.place, Kept(first, status, bytes(answer.body).decode(), asked.request_id))
            sb.flush()
            answer.headers["idempotency-key"] = asked.token
        _tell(asked, status, body)
        if fault is not None and fault.executed:
            return await struck(fault, answer) or answer
        return answer


def _called(call: Call, params: Params, asked: Asked) -> tuple[int, Doc]:
    """Run one call; a declined card is an answer too, because it is kept for its idempotency key."""
    sb, version = asked.sandbox, asked.version
    try:
        with sb.requested(asked.request_id, asked.token):
            found = call(sb, params, asked.object_id)
            rendered = _rendered(found, version, asked.on_behalf_of)
            if "secret" in found and found.get("object") == "webhook_endpoint":
                rendered["secret"] = found["secret"]
            return 200, expand(sb, rendered, params.rows("expand"), version)
    except StripeError as error:
        if error.status != 402:
            raise
        return 402, error.body(asked.request_id)


def _rendered(found: Doc, version: str, account: str | None) -> Doc:
    """An answer in the version asked for; an event stays in the version of its day, and names a platform's account."""
    if found.get("object") == "list":
        return {**found, "data": [_rendered(each, version, account) for each in found["data"]]}
    if found.get("object") != "event":
        return render(found, version)
    return render(found if account is None else {**found, "account": account}, found["api_version"])


def _replayed(kept: Kept, asked: Asked) -> Response:
    headers = {
        "idempotent-replayed": "true",
        "idempotency-key": asked.token or "",
        "original-request": kept.request_id,
        "request-id": asked.request_id,
        "stripe-version": asked.version,
    }
    return Response(kept.body, kept.status, headers, media_type="application/json")


def _unrecognized(wire: Wire) -> Answer:
    async def answer(request: Request) -> Response:
        request_id = wire.sandbox.ids.make("request")
        try:
            wire.account(request)
            raise StripeError(
                f"Unrecognized request URL ({request.method}: {request.url.path}). Please see https://stripe.com/docs "
                "or we can help at https://support.stripe.com/.",
                status=404,
            )
        except StripeError as error:
            return as_json(error.body(request_id), error.status, request_id, headers=error.headers)

    return answer
