"""Rates over the API and on the page: previewed, taken in, looked up, with faults that name the place."""

import base64
import io
import re
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from refref.ecb_file import bundled_history

RunWeb = Callable[..., None]
CSV = "date,from,to,rate\n2026-01-05,eur,usd,1.2\n2026-01-05,kwd,usd,3.25\n"
_LAST = bundled_history().last_day
NEXT_DAY = next(day for n in (1, 2, 3) if (day := _LAST + timedelta(days=n)).weekday() < 5)


def zipped(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("eurofxref-hist.csv", text)
    return buffer.getvalue()


HISTORY = zipped(f"Date,USD,GBP,\n{NEXT_DAY},1.12,0.84,\n")


async def look_up(web: Any, source: str, target: str, on: str) -> Any:
    return (await web.api.get("/v1/rates/lookup", params={"from": source, "to": target, "on": on})).json()


def test_rates_of_one_s_own_over_the_api(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        body = {"source": "csv", "file_name": "own.csv", "content": CSV}
        preview = (await web.api.post("/v1/rates/uploads", json=body | {"dry_run": True})).json()
        assert preview["upload"] is None
        assert (preview["total_count"], preview["new_count"], preview["scope_count"]) == (2, 2, 0)
        assert (await look_up(web, "eur", "usd", "2026-01-05"))["rate"]["origin"] == "ecb"
        made = (await web.api.post("/v1/rates/uploads", json=body)).json()
        assert made["upload"]["upload_no"] == 1
        assert made["upload"]["uploaded_by"].startswith("key:key_")
        assert await look_up(web, "USD", "eur", "2026-01-05") == {
            "rate": {
                "source": "usd", "target": "eur", "rate": "1/1.2", "rate_decimal": "0.833333", "on": "2026-01-05",
                "origin": "csv", "via": None, "upload_no": 1,
            },
            "reason": None,
            "detail": None,
        }  # fmt: skip
        again = (await web.api.post("/v1/rates/uploads", json=body)).json()
        assert (again["upload"], again["new_count"], again["changed_count"]) == (None, 0, 0)
        changed = (await web.api.post("/v1/rates/uploads", json=body | {"content": CSV.replace("1.2", "1.3")})).json()
        assert changed["changed"] == [
            {"day": "2026-01-05", "source": "eur", "target": "usd", "before": "1.2", "after": "1.3"}
        ]
        known = (await web.api.get("/v1/rates")).json()
        assert [(pair["source"], pair["target"], pair["count"]) for pair in known["own"]] == [
            ("eur", "usd", 1),
            ("kwd", "usd", 1),
        ]
        first = (await web.api.get("/v1/rates/uploads", params={"limit": 1})).json()
        assert [row["upload_no"] for row in first["data"]] == [2]
        rest = (await web.api.get("/v1/rates/uploads", params={"cursor": first["next_cursor"]})).json()
        assert [row["upload_no"] for row in rest["data"]] == [1]
        log = (await web.api.get("/v1/audit_log")).json()["data"]
        assert [row["subject"] for row in log if row["action"] == "rates.upload"] == ["upload 2", "upload 1"]

    with_web(scenario)


def test_a_newer_history_over_the_api(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        before = await look_up(web, "gbp", "usd", str(NEXT_DAY))
        assert before["reason"] == "rate_not_yet_known"
        assert str(_LAST) in before["detail"]
        body = {"source": "ecb", "content_base64": base64.b64encode(HISTORY).decode()}
        assert (await web.api.post("/v1/rates/uploads", json=body)).json()["upload"]["rate_count"] == 2
        after = await look_up(web, "gbp", "usd", str(NEXT_DAY))
        assert (after["rate"]["rate"], after["rate"]["via"]) == ("1.12/0.84", "eur")
        known = (await web.api.get("/v1/rates")).json()
        assert (known["bundled_last_day"], known["ecb_last_day"]) == (str(_LAST), str(NEXT_DAY))

    with_web(scenario)


def test_what_is_wrong_names_the_field(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        faults: list[tuple[dict[str, Any], str, str]] = [
            ({"source": "csv", "content": "date,from,to,rate\n2026-01-05,eur,usd,one\n"}, "invalid_rates", "file"),
            ({"source": "csv"}, "invalid_rates", "content"),
            ({"source": "csv", "content": CSV, "content_base64": ""}, "invalid_rates", "content"),
            ({"source": "ecb", "content_base64": "%"}, "invalid_rates", "content_base64"),
            ({"source": "ecb", "content_base64": base64.b64encode(b"PK\x03\x04").decode()}, "invalid_rates", "file"),
            ({"source": "xml", "content": CSV}, "invalid_choice", "source"),
        ]
        for body, code, field in faults:
            answer = await web.api.post("/v1/rates/uploads", json=body)
            assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field), body
        answer = await web.api.post("/v1/rates/uploads", json=faults[0][0])
        assert answer.json()["detail"].startswith("Line 2, column rate: “one” is no rate")
        assert (await look_up(web, "euro", "usd", "2026-01-05"))["field"] == "from"
        assert (await look_up(web, "eur", "us", "2026-01-05"))["field"] == "to"
        assert (await web.api.get("/v1/rates/uploads", params={"cursor": "x"})).json()["code"] == "invalid_cursor"

    with_web(scenario)


def test_the_page_previews_a_file_and_takes_it_in(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        token = await web.sign_in()
        form = {"csrf_token": token, "source": "ecb"}
        files = {"file": ("eurofxref-hist.zip", HISTORY, "application/zip")}
        shown = (await web.browser.post("/settings/currencies/preview", data=form, files=files)).text
        assert "Preview of eurofxref-hist.zip" in shown
        assert "2 new" in shown
        fields = {"csrf_token": token, "source": "ecb", "file_name": "eurofxref-hist.zip"}
        content = re.search(r'name="content" value="([^"]+)"', shown)
        assert content is not None
        answer = await web.browser.post("/settings/currencies/upload", data=fields | {"content": content[1]})
        assert "Taken in as upload 1" in answer.text
        again = await web.browser.post("/settings/currencies/upload", data=fields | {"content": content[1]})
        assert "All rates of this file are known already." in again.text
        query = {"from": "GBP", "to": "usd", "on": str(NEXT_DAY)}
        page = (await web.browser.get("/settings/currencies", params=query)).text
        assert "1 GBP = 1.33333 USD, European Central Bank via EUR" in page
        assert "from upload 1" in page

    with_web(scenario)


def test_the_page_says_what_is_wrong(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        token = await web.sign_in()
        files = {"file": ("own.csv", b"date,from,to,rate\n2026-01-05,eur,usd,0\n", "text/csv")}
        form = {"csrf_token": token, "source": "csv"}
        answer = await web.browser.post("/settings/currencies/preview", data=form, files=files)
        assert answer.status_code == 422
        assert "Line 2, column rate" in answer.text
        odd = await web.browser.post("/settings/currencies/upload", data=form | {"content": "%"})
        assert (odd.status_code, "Choose the file again." in odd.text) == (422, True)
        for query, says in (
            ({"from": "eur", "to": "usd", "on": "soon"}, "Give a day such as"),
            ({"from": "eur", "to": "x", "on": "2026-01-05"}, "A currency is three letters"),
        ):
            page = await web.browser.get("/settings/currencies", params=query)
            assert (page.status_code, says in page.text) == (422, True)
        missing = await web.browser.get("/settings/currencies", params={"from": "kwd", "to": "usd", "on": "2026-01-05"})
        assert "No source has a rate from KWD to USD" in missing.text

    with_web(scenario)


def test_the_whole_history_with_one_more_day_fits_through_the_page(with_web: RunWeb) -> None:
    history = bundled_history()
    heading = ",".join(["Date", *(name.upper() for name in history.columns)]) + ","
    newest = history.lines[_LAST.toordinal()].replace(str(_LAST), str(NEXT_DAY))
    whole = zipped("\n".join([heading, newest, *(history.lines[day] for day in sorted(history.lines, reverse=True))]))

    async def scenario(web: Any) -> None:
        token = await web.sign_in()
        files = {"file": ("eurofxref-hist.zip", whole, "application/zip")}
        form = {"csrf_token": token, "source": "ecb", "file_name": "eurofxref-hist.zip"}
        shown = await web.browser.post("/settings/currencies/preview", data=form, files=files)
        content = re.search(r'name="content" value="([^"]+)"', shown.text)
        assert content is not None, shown.text[:500]
        parts = {name: (None, value) for name, value in (form | {"content": content[1]}).items()}
        answer = await web.browser.post("/settings/currencies/upload", files=parts)
        assert answer.status_code == 200, answer.text[:500]
        assert "Taken in as upload 1" in answer.text

    with_web(scenario)
