"""Settings: defaults, refusals that name the variable, and the master key."""

import base64
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from refref.settings import MasterKey, Settings, SettingsError, load_settings

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(32)).decode()


def settings(tmp_path: Path, **variables: str) -> Settings:
    return load_settings({"REFREF_DATA_DIR": str(tmp_path / "data"), **variables})


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found.host, found.port, found.base_url) == ("127.0.0.1", 8787, "http://127.0.0.1:8787")
    assert found.log_level == "info"
    assert found.database_url is None
    with pytest.raises(SettingsError, match=r"DATABASE_URL.*\./run up"):
        found.require_database_url()


@pytest.mark.parametrize(
    ("variables", "base_url"),
    [
        ({"REFREF_HOST": "0.0.0.0"}, "http://127.0.0.1:8787"),
        ({"REFREF_HOST": "::1", "REFREF_PORT": "80"}, "http://[::1]:80"),
        ({"REFREF_BASE_URL": "https://refer.example.com/"}, "https://refer.example.com"),
    ],
)
def test_base_url(tmp_path: Path, variables: dict[str, str], base_url: str) -> None:
    assert settings(tmp_path, **variables).base_url == base_url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REFREF_PORT", "0"),
        ("REFREF_PORT", "65536"),
        ("REFREF_PORT", "http"),
        ("REFREF_PORT", "٨٠"),
        ("REFREF_BASE_URL", "refer.example.com"),
        ("REFREF_BASE_URL", "https://refer.example.com/?a=1"),
        ("REFREF_LOG_LEVEL", "loud"),
        ("DATABASE_URL", "mysql://localhost/refref"),
        ("DATABASE_URL", "localhost"),
        ("REFREF_MASTER_KEY", "short"),
        ("REFREF_MASTER_KEY", ","),
        ("REFREF_MASTER_KEY", f"a:{KEY},a:{OTHER}"),
        ("REFREF_MASTER_KEY", f":{KEY}"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_the_variable(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(tmp_path, **{name: value})


def test_refusals_and_representations_hold_no_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(tmp_path, REFREF_MASTER_KEY=f"{KEY},wrong-secret")
    assert KEY not in str(refused.value)
    assert "wrong-secret" not in str(refused.value)
    with pytest.raises(SettingsError) as refused:
        settings(tmp_path, DATABASE_URL="mysql://me:pass-word@host/x")
    assert "pass-word" not in str(refused.value)
    shown = repr(settings(tmp_path, REFREF_MASTER_KEY=KEY, DATABASE_URL="postgresql://me:pass-word@host/x"))
    assert KEY not in shown
    assert "pass-word" not in shown
    assert "..." in repr(MasterKey("k", b"secret"))


def test_the_master_key_is_made_once_and_private(tmp_path: Path) -> None:
    first = settings(tmp_path).master_keys
    assert len(first) == 1
    assert len(first[0].secret) == 32
    assert settings(tmp_path).master_keys == first
    assert (tmp_path / "data" / "master.key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "data") == ["master.key"]


def test_processes_that_start_together_agree_on_the_master_key(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        keys = set(pool.map(settings, [tmp_path] * 8))
    assert len(keys) == 1


def test_master_keys_rotate(tmp_path: Path) -> None:
    keys = settings(tmp_path, REFREF_MASTER_KEY=f"new:{KEY}, old:{OTHER}").master_keys
    assert [key.id for key in keys] == ["new", "old"]
    assert keys[0].secret == bytes(range(32))
    without_ids = settings(tmp_path, REFREF_MASTER_KEY=f"{KEY},{OTHER}").master_keys
    assert without_ids[0].id != without_ids[1].id
