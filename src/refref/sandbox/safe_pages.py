"""What the sandbox's pages share: plain HTML, no scripts, no outside assets.

Forms carry a token and are refused from other origins; the host must be a loopback name (no DNS rebinding).
"""

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
HEADERS = {
    # Without `form-action`: browsers hold the redirect after a form to it, and that of Connect goes to a platform.
    "content-security-policy": "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
}
_HERE = Path(__file__).parent


def is_local(request: Request) -> bool:
    """Whether a request is for a loopback name and, if it names an origin, comes from the same place."""
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    if urlsplit(f"//{host}").hostname not in LOOPBACK:
        return False
    return origin is None or urlsplit(origin).netloc == host


def static_files() -> Mount:
    """The route of the style sheet and the fonts."""
    return Mount("/_static", StaticFiles(directory=_HERE / "static"))


class SafePages:
    """Pages with one token for their forms."""

    def __init__(self) -> None:
        self._token = secrets.token_urlsafe(24)
        self._templates = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, trim_blocks=True)

    def html(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page; its forms get the token."""
        return HTMLResponse(
            self._templates.get_template(template).render(token=self._token, **values), status, dict(HEADERS)
        )

    async def form_of(self, request: Request) -> dict[str, str] | None:
        """What was filled in of a form that is ours; None when it is not."""
        form = {name: str(value) for name, value in (await request.form()).items() if value}
        trusted = is_local(request) and secrets.compare_digest(form.pop("token", "").encode(), self._token.encode())
        return form if trusted else None
