"""How far a demo's sample history has come, as its sandbox says or does not say."""

import asyncio

import httpx
import pytest

from refref.web.pages.sandbox_history import Arriving, history_arriving

HERE = "http://127.0.0.1:9002"


def ask(answer: httpx.Response | Exception, api_base: str | None = HERE) -> Arriving | None:
    def reply(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == f"{HERE}/_sandbox/state"
        if isinstance(answer, Exception):
            raise answer
        return answer

    return asyncio.run(history_arriving(api_base, httpx.MockTransport(reply)))


def test_it_is_told_until_all_is_there() -> None:
    told = {"events": 1, "history": {"arrived_months": 9, "of_months": 14}}
    assert ask(httpx.Response(200, json=told)) == Arriving(9, 14)
    over = {"events": 2, "history": {"arrived_months": 0, "of_months": 0}}
    assert ask(httpx.Response(200, json=over)) is None
    assert ask(httpx.Response(200, json=told), api_base=None) is None


@pytest.mark.parametrize(
    "answer",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.Response(404), httpx.Response(200, json={})],
    ids=repr,
)
def test_a_sandbox_that_does_not_say_disturbs_no_page(answer: httpx.Response | Exception) -> None:
    assert ask(answer) is None
