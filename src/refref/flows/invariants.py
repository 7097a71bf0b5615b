"""Invariants: the promises of the books, checked against the database, in production as in tests."""

from __future__ import annotations

from refref.core.findings import Finding
from refref.db import invariants
from refref.db.pool import Connection


async def check_invariants(tx: Connection, organization_id: str) -> list[Finding]:
    """Every invariant with whether it holds. Reads only; the transaction must be the organization's."""
    findings = []
    for name, promise, query in invariants.CHECKS:
        found = await invariants.offenders(tx, organization_id, query)
        findings.append(Finding(name, not found, "; ".join(found) if found else promise))
    return findings
