"""The routes /oauth/token and /oauth/deauthorize, which the SDK reaches at its `connect` address.

They are not in Stripe's specification, so no witness is shown them; the SDK in the tests is their judge.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from refref.sandbox.answers import as_json
from refref.sandbox.errors import StripeError
from refref.sandbox.form import Params, parse
from refref.sandbox.oauth import OAuthRefusal
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

Platform = Callable[[Request, str | None], Sandbox]  # the account of the request's key, or of a `client_secret`


def _token(sb: Sandbox, p: Params) -> Doc:
    kind = p.text("grant_type")
    if kind is None:
        raise OAuthRefusal("invalid_request", "No grant type specified")
    if kind == "authorization_code":
        code = p.text("code")
        if code is None:
            raise OAuthRefusal("invalid_request", "No authorization code specified")
        return sb.exchange_code(code)
    if kind == "refresh_token":
        token = p.text("refresh_token")
        if token is None:
            raise OAuthRefusal("invalid_request", "No refresh token specified")
        return sb.refresh_token(token, p.text("scope"))
    raise OAuthRefusal("unsupported_grant_type", f"Unsupported grant type: {kind}")


def _deauthorize(sb: Sandbox, p: Params) -> Doc:
    client_id, account = p.text("client_id"), p.text("stripe_user_id")
    if client_id is None:
        raise OAuthRefusal("invalid_request", "No client_id specified")
    if account is None:
        raise OAuthRefusal("invalid_request", "No stripe_user_id specified")
    return sb.deauthorize(client_id, account)


def oauth_routes(home: Sandbox, platform: Platform) -> list[BaseRoute]:
    """The two routes; `platform` finds the account whose secret key came with a request."""

    def route(path: str, call: Callable[[Sandbox, Params], Doc]) -> Route:
        async def answer(request: Request) -> Response:
            request_id = home.ids.make("request")
            text = (await request.body()).decode()
            try:
                params = Params(parse(text))
                sb = platform(request, params.text("client_secret"))
                fault = home.faults.take(request.method, path)
                if fault is not None:
                    raise fault.error()
                with sb.requested(request_id, None):
                    status, body = 200, call(sb, params)
            except StripeError as error:
                status, body = error.status, error.body(request_id)
            return as_json(body, status, request_id)

        return Route(path, answer, methods=["POST"])

    return [route("/oauth/token", _token), route("/oauth/deauthorize", _deauthorize)]
