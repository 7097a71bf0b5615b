"""Network addresses as keyed hashes, so that two can be compared and none is kept. The key rests among a connection's
secrets, sealed by the vault.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from refref.core.refusals import Refused
from refref.db import connections, inbox, participants, profiles
from refref.db.connections import ConnectionSecret
from refref.db.pool import Connection, lock_books
from refref.ids import new_id
from refref.vault import Place, Sealed, Vault, VaultError

# Addresses of a network of one's own: behind a proxy, everybody's would be the same.
_NOT_OF_PEOPLE = [
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "::/127", "fc00::/7", "fe80::/10"),
    )
]


async def hash_ip(
    tx: Connection, vault: Vault, organization_id: str, connection_id: str, ip: str, *, now: datetime
) -> str:
    """The hash of a person's public address, 32 hexadecimal digits; of IPv6 the first 64 bits count.

    Raises Refused("invalid_ip").
    """
    network = _network(ip)
    key = await _key(tx, vault, organization_id, connection_id, now)
    return hmac.new(key, network.encode(), hashlib.sha256).hexdigest()[:32]


def _network(ip: str) -> str:
    try:
        address: IPv4Address | IPv6Address = ip_address(ip.strip())
    except ValueError:
        raise Refused("invalid_ip", "Give an IPv4 or IPv6 address.", "ip") from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in _NOT_OF_PEOPLE):
        raise Refused(
            "invalid_ip", "This is an address of a private network: give the one that the person came from.", "ip"
        )
    if isinstance(address, IPv6Address):  # a household has many, with the same first half
        return str(ip_network((int(address) >> 64 << 64, 64)))
    return str(address)


async def _key(tx: Connection, vault: Vault, organization_id: str, connection_id: str, now: datetime) -> bytes:
    if (key := await _known_key(tx, vault, organization_id, connection_id, now)) is not None:
        return key
    await lock_books(tx, connection_id)  # of two that find none, the second waits and finds the first one's
    if (key := await _known_key(tx, vault, organization_id, connection_id, now)) is not None:
        return key
    key = secrets.token_bytes(32)
    secret_id = new_id("secret")
    sealed = vault.seal(key, Place(organization_id, connection_id, secret_id))
    made = ConnectionSecret(
        organization_id,
        connection_id,
        secret_id,
        "ip_hash",
        sealed.key_id,
        sealed.nonce,
        sealed.ciphertext,
        "",
        now,
        None,
    )
    await connections.insert_secret(tx, made)
    return key


async def _known_key(
    tx: Connection, vault: Vault, organization_id: str, connection_id: str, now: datetime
) -> bytes | None:
    for known in await connections.valid_secrets(tx, organization_id, connection_id, "ip_hash", now):
        sealed = Sealed(known.key_id, known.nonce, known.ciphertext)
        try:
            return vault.open(sealed, Place(organization_id, connection_id, known.secret_id))
        except VaultError:  # its master key is lost: hashes begin anew
            continue
    return None


async def note_participant_ip(
    tx: Connection, vault: Vault, organization_id: str, participant_id: str, ip: str, *, now: datetime
) -> None:
    """Note, as a hash, the address that a participant came from; referrals of customers from there are found.

    Raises Refused: unknown_participant, invalid_ip.
    """
    found = await participants.participant_by_id(tx, organization_id, participant_id)
    if found is None:
        raise Refused("unknown_participant", "There is no participant with this id.", "participant_id")
    ip_hash = await hash_ip(tx, vault, organization_id, found.connection_id, ip, now=now)
    await participants.insert_ip(tx, organization_id, participant_id, ip_hash, now)
    if await profiles.mark_participant_dirty(tx, organization_id, participant_id):
        await inbox.wake_pumps(tx)
