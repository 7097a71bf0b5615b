"""refref audit list, from outside."""

import re

from cli.test_decisions import Run, refref, said  # noqa: F401 - the fixture


def test_the_audit_log_is_told_newest_first_and_by_action_actor_and_subject(refref: Run) -> None:  # noqa: F811 - the fixture
    owner = said(refref("user", "create", "--email", "a@example.com", "--new-organization", "Shop", "--json"))
    connection = said(refref("connection", "create", "--name", "Sample sandbox", "--mode", "test", "--json"))
    program = said(refref("program", "create", "--name", "Friends", "--json"))
    refref("program", "pause", program["program_id"])

    told = said(refref("audit", "list", "--json"))
    actions = [row["action"] for row in told]
    assert (actions[0], actions[-1]) == ("program.pause", "organization.create")
    assert told[0]["subject_name"] == told[0]["program_name"] == "Friends"
    assert told[0]["connection_id"] == connection["connection_id"]
    assert {row["actor"] for row in told} == {"system", f"user:{owner['user_id']}"}
    assert [row["audit_id"] for row in said(refref("audit", "list", "--limit", "1", "--json"))] == [told[0]["audit_id"]]

    assert [row["action"] for row in said(refref("audit", "list", "--action", "program.pause", "--json"))] == [
        "program.pause"
    ]
    mine = said(refref("audit", "list", "--actor", f"user:{owner['user_id']}", "--json"))
    assert [(row["action"], row["actor_name"]) for row in mine] == [("organization.create", "a@example.com")]
    for part in (program["program_id"], "friend"):
        assert {row["subject"] for row in said(refref("audit", "list", "--subject", part, "--json"))} == {
            program["program_id"]
        }

    made = refref("audit", "list", "--action", "connection.create").stdout
    assert re.search(r"connection\.create  con_\w+ \(Sample sandbox\)  mode: test; API key stored: no", made)
    assert "No entries." in refref("audit", "list", "--action", "payout.record").stdout


def test_a_filter_that_cannot_be_is_refused_in_a_sentence(refref: Run) -> None:  # noqa: F811 - the fixture
    assert "--action is one of: api_key.create" in refref("audit", "list", "--action", "odd", code=2).stderr
    assert "--actor is user:usr_…" in refref("audit", "list", "--actor", "Ann", code=2).stderr


def test_another_organization_s_log_stays_its_own(refref: Run) -> None:  # noqa: F811 - the fixture
    ids = [
        said(refref("user", "create", "--email", f"{name}@example.com", "--new-organization", name, "--json"))
        for name in ("one", "two")
    ]
    assert "There are several: name one." in refref("audit", "list", code=1).stderr
    for own in ids:
        told = said(refref("audit", "list", "--organization", own["organization_id"], "--json"))
        assert {row["subject"] for row in told} <= set(own.values())
        assert told
