"""A start that is cut off in the middle of the history: the next one writes and delivers the rest."""

import signal
import time
from pathlib import Path

import httpx

from sandbox.test_deliveries import Listener
from sandbox.test_process import KEY, do, running
from serving import serve

FLAGS = ("--seed", "3", "--customers", "120")


def state(client: httpx.Client) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = client.get("/_sandbox/state").json()
    return found


def test_a_start_cut_off_in_the_middle_is_completed_by_the_next(tmp_path: Path) -> None:
    listener = Listener()
    url, stop = serve(listener.app)
    with running(tmp_path, *FLAGS, ends=signal.SIGKILL) as client:
        fields = {"url": f"{url}/hook", "enabled_events[0]": "*"}
        endpoint = client.post("/v1/webhook_endpoints", data=fields, headers={"authorization": f"Bearer {KEY}"}).json()
        do(client, "deliver_all", endpoint=endpoint["id"])
        end = time.monotonic() + 20
        while len(listener.ids) < 600 and time.monotonic() < end:
            time.sleep(0.01)
        history = state(client)["history"]
        assert 0 <= history["arrived_months"] < history["of_months"] == 14
    before = len(set(listener.ids))
    with running(tmp_path, *FLAGS) as client:
        do(client, "keep", subscription="sub_nobody")  # answered when the history is written
        end = time.monotonic() + 30
        while state(client)["deliveries"]["waiting"] and time.monotonic() < end:
            time.sleep(0.05)
        told = state(client)
        assert told["history"] == {"arrived_months": 0, "of_months": 0}
        shop = told["events"]
    stop()
    assert 600 <= before < len(set(listener.ids)) == shop
