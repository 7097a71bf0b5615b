"""A start that is cut off in the middle of the history: the next one writes and delivers the rest."""

import signal
import time
from pathlib import Path

import httpx

from sandbox.test_deliveries import Listener
from sandbox.test_process import KEY, do, running, until_delivered
from serving import serve

FLAGS = ("--seed", "3", "--customers", "240")


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
        while len(listener.ids) < 200:  # of thousands
            time.sleep(0.01)
        history = state(client)["history"]
        assert 0 <= history["arrived_months"] < history["of_months"] == 14
    before = len(set(listener.ids))
    with running(tmp_path, *FLAGS) as client:
        do(client, "keep", subscription="sub_nobody")  # answered when the history is written
        until_delivered(client)
        told = state(client)
        assert told["history"] == {"arrived_months": 0, "of_months": 0}
        shop = told["events"]
    stop()
    assert 200 <= before < len(set(listener.ids)) == shop
