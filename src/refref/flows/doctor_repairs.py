"""Repairs that the doctor does itself. Each is one transaction and stands in the audit log."""

from __future__ import annotations

from datetime import datetime

from refref.core.known_faults import FAULTS
from refref.core.refusals import Refused
from refref.db import audit, doctor, inbox
from refref.db.pool import Connection


async def repair_fault(
    tx: Connection, organization_id: str, connection_id: str, code: str, *, actor: str, now: datetime
) -> int:
    """Do what mends the fault `code`: settle parked events again, ask Stripe again, or take note that its cause is
    mended (only what comes later counts then). Returns how many things were put to work.

    Raises Refused("no_repair") for a fault that only people outside RefRef can mend.
    """
    fix = FAULTS[code].fix if code in FAULTS else None
    if fix is None or fix.repair is None:
        raise Refused("no_repair", "The doctor cannot mend this by itself: do what its fix says.", "code")
    count = 0
    if fix.repair == "replay_parked":
        count = await inbox.replay(tx, organization_id, connection_id, event_ids=None, only_parked=True)
        await inbox.wake_pumps(tx)
    elif fix.repair == "ask_again":
        count = await doctor.ask_again(tx, organization_id, connection_id)
    action = "doctor.mended" if fix.repair == "mended" else "doctor.repaired"
    details: dict[str, str | int | bool | None] = {"code": code, "count": count}
    await audit.record(tx, organization_id, at=now, actor=actor, action=action, subject=connection_id, details=details)
    return count
