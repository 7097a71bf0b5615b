"""A sandbox that somebody starts by hand: it says where it is, what there is to sell, and whom it tells."""

import subprocess
import sys
from pathlib import Path

import pytest

from refref.sandbox import Sandbox
from refref.sandbox.shop_view import listener_url
from sandbox.test_process import running
from serving import reserved_ports


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"refref_connection": "con_1"}, "http://127.0.0.1:8787"),  # an endpoint that RefRef makes
        ({"refref_connection_id": "con_1"}, "http://127.0.0.1:8787"),  # that of the demo's set-up
        ({}, None),
    ],
)
def test_the_refref_that_listens_is_found(metadata: dict[str, str], found: str | None) -> None:
    sandbox = Sandbox(clock_start=1_790_000_000, seed=1)
    url = "http://127.0.0.1:8787/stripe/webhooks/con_1"
    sandbox.create_webhook_endpoint(url=url, enabled_events=["*"], metadata=metadata)
    assert listener_url(sandbox) == found


def test_an_empty_shop_says_how_to_get_something_to_sell(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        page = client.get("/").text
        assert "There is nothing to sell yet" in page
        assert '<button class="first" disabled>Buy</button>' in page


def test_it_says_where_it_listens() -> None:
    with reserved_ports() as port:
        command = [sys.executable, "-m", "refref.sandbox", "--port", str(port)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            process.terminate()
    assert line == (
        f"A Stripe of its own on http://127.0.0.1:{port}: its page and its API, for any test key. Ctrl-C ends it.\n"
    )
