"""The vault: what it seals opens in its place alone, and master keys rotate."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refref.settings import MasterKey
from refref.vault import Place, Sealed, Vault, VaultError

OLD, NEW = MasterKey("old", bytes(range(32))), MasterKey("new", bytes(range(1, 33)))
PLACE = Place("org_a", "con_a", "sec_a")


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_again_and_shows_nothing(secret: bytes) -> None:
    vault = Vault([OLD])
    sealed = vault.seal(secret, PLACE)
    assert vault.open(sealed, PLACE) == secret
    assert len(secret) < 8 or secret not in sealed.ciphertext
    assert vault.seal(secret, PLACE).nonce != sealed.nonce


@pytest.mark.parametrize(
    "place",
    [
        Place("org_b", "con_a", "sec_a"),
        Place("org_a", "con_b", "sec_a"),
        Place("org_a", "con_a", "sec_b"),
        Place("org_a", "con_a\x1fsec_a", ""),
    ],
)
def test_a_secret_that_was_moved_does_not_open(place: Place) -> None:
    vault = Vault([OLD])
    with pytest.raises(VaultError, match="belongs to another place"):
        vault.open(vault.seal(b"secret", PLACE), place)


def test_a_changed_secret_does_not_open() -> None:
    vault = Vault([OLD])
    sealed = vault.seal(b"secret", PLACE)
    for number in range(len(sealed.ciphertext)):
        changed = bytearray(sealed.ciphertext)
        changed[number] ^= 1
        with pytest.raises(VaultError):
            vault.open(dataclasses.replace(sealed, ciphertext=bytes(changed)), PLACE)
    with pytest.raises(VaultError):
        vault.open(Sealed(sealed.key_id, sealed.nonce, b""), PLACE)


def test_the_first_key_seals_all_open_and_rotation_moves_to_the_first() -> None:
    before, during, after = Vault([OLD]), Vault([NEW, OLD]), Vault([NEW])
    sealed = before.seal(b"secret", PLACE)
    assert before.rotate(sealed, PLACE) is None
    assert during.open(sealed, PLACE) == b"secret"
    fresh = during.rotate(sealed, PLACE)
    assert fresh is not None
    assert fresh.key_id == "new"
    assert after.open(fresh, PLACE) == b"secret"
    with pytest.raises(VaultError, match="'old' is not among the keys"):
        after.open(sealed, PLACE)
