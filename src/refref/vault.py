"""The vault: seals the secrets that rest in the database with AES-256-GCM under the installation's master keys.

Knows no table. The first key seals, every key opens; what is sealed carries the id of its key, so that keys rotate.
Beside the master keys it holds what else the installation keeps for itself: the keys of its Connect applications.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from refref.settings import MasterKey, StripePlatform

_NONCE_BYTES = 12


class VaultError(Exception):
    """A sealed secret cannot be opened: its key is missing, or it belongs to another place or was changed."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret at rest."""

    key_id: str
    nonce: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret belongs; a ciphertext that is moved to another place does not open there."""

    organization_id: str
    owner_id: str  # the connection, or another thing that owns the secret
    secret_id: str

    def associated_data(self) -> bytes:
        """The bytes that bind a ciphertext to this place."""
        return "\x1f".join((self.organization_id, self.owner_id, self.secret_id)).encode()


class Vault:
    """Seals and opens secrets; holds the master keys of `Settings.master_keys` and `Settings.platforms`."""

    def __init__(self, keys: Sequence[MasterKey], platforms: Sequence[StripePlatform] = ()) -> None:
        if not keys:
            raise ValueError("a vault needs at least one key")
        self._ciphers = {key.id: AESGCM(key.secret) for key in keys}
        self.current_key_id = keys[0].id
        self._platforms = {platform.mode: platform for platform in platforms}

    def platform(self, mode: str) -> StripePlatform | None:
        """The Connect application of a mode (test, live), where there is one."""
        return self._platforms.get(mode)

    def seal(self, secret: bytes, place: Place) -> Sealed:
        """Encrypt `secret` for `place` under the first key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._ciphers[self.current_key_id]
        return Sealed(self.current_key_id, nonce, cipher.encrypt(nonce, secret, place.associated_data()))

    def open(self, sealed: Sealed, place: Place) -> bytes:
        """Decrypt what `seal` made for the same place; raises VaultError."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise VaultError(f"Master key {sealed.key_id!r} is not among the keys of REFREF_MASTER_KEY; add it again.")
        try:
            return cipher.decrypt(sealed.nonce, sealed.ciphertext, place.associated_data())
        except InvalidTag as error:
            raise VaultError(f"The secret {place.secret_id} was changed or belongs to another place.") from error

    def rotate(self, sealed: Sealed, place: Place) -> Sealed | None:
        """The same secret under the first key; None when it already is. Raises VaultError."""
        if sealed.key_id == self.current_key_id:
            return None
        return self.seal(self.open(sealed, place), place)
