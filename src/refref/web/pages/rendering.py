"""Templates: the environment, its filters, and the answer of a page. Knows no routes and no queries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from refref.core.estimates import present_rate
from refref.db.reports import CodeRow
from refref.web.money_format import grouped_text, money_text
from refref.web.pages import words
from refref.web.pages.viewer import Viewer

WEB = Path(str(files("refref.web")))


def render(
    request: Request, template: str, viewer: Viewer | None, status_code: int = 200, **context: object
) -> Response:
    """The page of a template. `viewer` is None on the pages before sign-in."""
    page = _environment().get_template(template)
    html = page.render(request=request, viewer=viewer, path=request.url.path, **context)
    return HTMLResponse(html, status_code=status_code, headers={"Cache-Control": "no-store"})


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        moment=moment,
        day=day,
        money=money,
        money_text=lambda amount, currency: money_text(amount, currency),
        query=with_query,
        path_part=lambda text: quote(str(text), safe=""),
        pretty_json=pretty_json,
        plural=plural,
    )
    environment.globals.update(
        asset=asset,
        instant_of=instant_of,
        present_rate=present_rate,
        words=words,
        reward_status=words.reward_status,
        decision_status=words.decision_status,
        event_status=words.event_status,
        is_active=lambda code: isinstance(code, CodeRow) and code.deactivated_at is None,
    )
    return environment


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The address of a static file; it changes with the content, so that browsers may keep it for ever."""
    digest = hashlib.sha256((WEB / "static" / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


def instant_of(value: object) -> datetime | None:
    """An instant in any of the forms that explanations use: aware datetime, ISO text, seconds since 1970."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str) and value:
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    return None


def moment(value: object) -> Markup:
    """A `<time>` with day and minute, UTC; a dash when there is none."""
    return _time(value, words.moment_text)


def day(value: object) -> Markup:
    """A `<time>` with the day, UTC; a dash when there is none."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), f"{value.day} {value:%b %Y}")
    return _time(value, words.day_text)


def _time(value: object, text: object) -> Markup:
    instant = instant_of(value)
    if instant is None or not callable(text):
        return Markup("–")
    return Markup('<time datetime="{}">{}</time>').format(instant.isoformat(), text(instant))


def money(amount_minor: int, currency: str) -> Markup:
    """An amount with aligned digits and its currency set back."""
    return Markup('<span class="money">{}\u00a0<span class="currency">{}</span></span>').format(
        grouped_text(amount_minor, currency), currency.upper()
    )


def with_query(path: str, parameters: Mapping[str, str | None]) -> str:
    """A path with the parameters that have a value."""
    given = {name: value for name, value in parameters.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def pretty_json(body: bytes) -> str:
    """Raw JSON, indented; bytes that are not JSON as they are."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body.decode(errors="replace")


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 payment`, `2 payments`, `1,204 payments`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
