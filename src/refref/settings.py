"""What an operator can set: environment variables, read once into a frozen `Settings`. Each is described in SETTINGS.

Owns the names, defaults and checks of the settings, and the master key's file. Reads nothing else.
`python -m refref.settings` prints docs/settings.md; a test keeps that page equal to the table below.
"""

import base64
import binascii
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from refref.db.embedded import running_dsn

MASTER_KEY_BYTES = 32
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """A setting is wrong or missing; the message names the variable and the remedy."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the documentation: the variable, what applies without it, what it does."""

    name: str
    default: str
    purpose: str
    example: str


SETTINGS = (
    Setting(
        "DATABASE_URL",
        "a PostgreSQL of RefRef's own, in the data folder",
        "The PostgreSQL (15 or newer) to use. Its user must own the database and be allowed to create roles: "
        "migrations run as that user and make the role `refref_app`, which every process becomes.",
        "postgresql://refref:secret@db.internal/refref",
    ),
    Setting(
        "REFREF_DATA_DIR",
        "`.data/refref` in the folder of RefRef",
        "Folder for everything RefRef keeps on disk: its own PostgreSQL, the master key, logs. Back it up.",
        "/var/lib/refref",
    ),
    Setting(
        "REFREF_HOST",
        "127.0.0.1",
        "Address to listen on. Behind a reverse proxy on the same machine the default is right.",
        "0.0.0.0",  # noqa: S104 - an example in the documentation
    ),
    Setting("REFREF_PORT", "8787", "Port to listen on, 1 to 65535.", "8080"),
    Setting(
        "REFREF_BASE_URL",
        "http:// + host + : + port",
        "The address at which browsers and Stripe reach RefRef; used in links, mails and the webhook endpoint.",
        "https://refer.example.com",
    ),
    Setting(
        "REFREF_MASTER_KEY",
        "made at the first start, kept in `master.key` in the data folder (mode 0600)",
        "Encrypts the Stripe keys in the database: 32 bytes as base64, optionally `id:` before them. "
        "Several, separated by commas, rotate: the first encrypts, all decrypt. Without it nothing can be decrypted, "
        "so keep a copy; every machine of an installation needs the same.",
        "k2:7Yb0…=,k1:9hQx…=",
    ),
    Setting(
        "REFREF_STRIPE_PLATFORM_TEST",
        "no “Connect with Stripe” in test mode",
        "For whoever offers RefRef to several merchants: the client id of a Stripe Connect application, the platform's "
        "secret key and the signing secret of its Connect endpoint (several while it is rolled), separated by commas. "
        "A loopback address among them is a sandbox to use instead of Stripe.",
        "ca_…,sk_test_…,whsec_…",
    ),
    Setting(
        "REFREF_STRIPE_PLATFORM_LIVE",
        "no “Connect with Stripe” in live mode",
        "The same for live mode.",
        "ca_…,sk_live_…,whsec_…",
    ),
    Setting(
        "SMTP_URL",
        "no mail is sent; problems are shown on the pages only",
        "The server that takes RefRef's mail: `smtp://` (with STARTTLS where the server offers it) or `smtps://`, user "
        "and password where it asks for them.",
        "smtps://refref:secret@mail.example.com:465",
    ),
    Setting(
        "REFREF_MAIL_FROM",
        "`refref@` + the host of REFREF_BASE_URL",
        "The sender of RefRef's mail.",
        "refref@example.com",
    ),
    Setting("REFREF_LOG_LEVEL", "info", "How much to log: debug, info, warning or error.", "warning"),
)


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    """One key of the installation. The id is stored with what the key encrypted."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"MasterKey({self.id!r}, ...)"


@dataclass(frozen=True, slots=True, repr=False)
class StripePlatform:
    """A Stripe Connect application in one mode: client id, secret key, the Connect endpoint's signing secrets.

    `api_base`: a sandbox's address; None is Stripe itself.
    """

    mode: str
    client_id: str
    api_key: str
    webhook_secrets: tuple[str, ...]
    api_base: str | None


@dataclass(frozen=True, slots=True, repr=False)
class MailServer:
    """Who takes our mail, and who sends it."""

    host: str
    port: int
    user: str | None
    password: str | None
    is_tls: bool  # from the first byte on; else STARTTLS where it is offered
    sender: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force. `database_url` is None when no database is set or running; see `require_database_url`."""

    database_url: str | None
    data_dir: Path
    host: str
    port: int
    base_url: str
    master_keys: tuple[MasterKey, ...]
    log_level: str
    platforms: tuple[StripePlatform, ...] = ()
    mail: MailServer | None = None

    def platform(self, mode: str) -> StripePlatform | None:
        """The Connect application of a mode, where there is one."""
        return next((row for row in self.platforms if row.mode == mode), None)

    def require_database_url(self) -> str:
        """Return the database to use; raises SettingsError when there is none."""
        if self.database_url is None:
            raise SettingsError(
                "There is no database: set DATABASE_URL to a PostgreSQL 15 or newer, "
                f"or start ./run up, which runs one of its own in {self.data_dir}."
            )
        return self.database_url

    def __repr__(self) -> str:
        return f"Settings(data_dir={str(self.data_dir)!r}, host={self.host!r}, port={self.port}, ...)"  # no secrets


def default_data_root() -> Path:
    """Return the folder for data that no setting places: `.data` in the checkout, else in the present folder."""
    checkout = Path(__file__).parents[2]
    return (checkout if (checkout / "run").exists() else Path.cwd()) / ".data"


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment, and make the master key's file when there is no key yet.

    Without DATABASE_URL, the embedded PostgreSQL that runs on the data folder is used if one does.
    """
    given = os.environ if environment is None else environment
    data_dir = Path(given.get("REFREF_DATA_DIR") or default_data_root() / "refref").absolute()
    host = given.get("REFREF_HOST") or "127.0.0.1"
    port = parse_port(given.get("REFREF_PORT") or "8787", "REFREF_PORT")
    base_url = parse_base_url(given.get("REFREF_BASE_URL"), host, port)
    platforms = [parse_platform(given.get(f"REFREF_STRIPE_PLATFORM_{mode.upper()}"), mode) for mode in ("test", "live")]
    return Settings(
        database_url=parse_database_url(given.get("DATABASE_URL")) or running_dsn(data_dir / "postgres"),
        data_dir=data_dir,
        host=host,
        port=port,
        base_url=base_url,
        master_keys=_master_keys(given.get("REFREF_MASTER_KEY"), data_dir),
        log_level=_log_level(given.get("REFREF_LOG_LEVEL")),
        platforms=tuple(row for row in platforms if row is not None),
        mail=parse_mail_server(given.get("SMTP_URL"), given.get("REFREF_MAIL_FROM"), base_url),
    )


def parse_port(text: str, name: str) -> int:
    """Return the port number that `text` is; `name` is what to correct if it is none."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise SettingsError(f"{name} is {text!r}, which is no port. Give a number from 1 to 65535, for example 8787.")


def settings_page() -> str:
    """Return the text of docs/settings.md."""
    lines = ["# Settings", "", "RefRef is set by environment variables; none is needed to start.", ""]
    lines += ["| variable | without it | what it does | example |", "|---|---|---|---|"]
    lines += [f"| `{row.name}` | {row.default} | {row.purpose} | `{row.example}` |" for row in SETTINGS]
    return "\n".join([*lines, ""])


def parse_database_url(text: str | None) -> str | None:
    """Return DATABASE_URL in the form that all drivers take, None when it is not set."""
    if not text:
        return None
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"postgresql", "postgres"} or not rest:
        raise SettingsError(
            "DATABASE_URL must look like postgresql://user:password@host/database; "
            f"it starts with {scheme[:20]!r}. RefRef works with PostgreSQL only."
        )
    return f"postgresql://{rest}"


def parse_base_url(text: str | None, host: str, port: int) -> str:
    """Return REFREF_BASE_URL without a slash at its end; when it is not set, the address on this machine."""
    if not text:
        shown = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    scheme, _, rest = text.partition("://")
    if scheme not in {"http", "https"} or not rest or any(character in rest for character in "?# "):
        raise SettingsError(
            f"REFREF_BASE_URL is {text!r}. Give the whole address that browsers use, for example https://refer.example.com"
        )
    return text.rstrip("/")


def parse_platform(text: str | None, mode: str) -> StripePlatform | None:
    """Return the Connect application that REFREF_STRIPE_PLATFORM_<MODE> names by its parts; None when it is not set."""
    name = f"REFREF_STRIPE_PLATFORM_{mode.upper()}"
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not parts:
        return None
    kinds = {"ca_": "client id", f"sk_{mode}_": "secret key", f"rk_{mode}_": "secret key", "whsec_": "signing secret"}
    found: dict[str, list[str]] = {"client id": [], "secret key": [], "signing secret": [], "address": []}
    for number, part in enumerate(parts, 1):
        kind = next((kind for prefix, kind in kinds.items() if part.startswith(prefix)), None)
        if (
            kind is None
            and mode == "test"
            and part.startswith(("http://127.0.0.1:", "http://localhost:", "http://[::1]:"))
        ):
            kind = "address"
        if kind is None:
            raise SettingsError(f"Part {number} of {name} is none of: client id ca_…, key sk_{mode}_…, secret whsec_….")
        found[kind].append(part.rstrip("/"))
    for kind in ("client id", "secret key"):
        if len(found[kind]) != 1:
            raise SettingsError(f"{name} needs one {kind}; it has {len(found[kind])}. Give ca_…,sk_{mode}_…,whsec_….")
    address = found["address"][0] if found["address"] else None
    return StripePlatform(mode, found["client id"][0], found["secret key"][0], tuple(found["signing secret"]), address)


def parse_mail_server(text: str | None, sender: str | None, base_url: str) -> MailServer | None:
    """Return the server that SMTP_URL names; None when it is not set."""
    if not text:
        return None
    wrong = SettingsError("SMTP_URL must look like smtp://user:password@host:587 or smtps://user:password@host:465.")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong from error
    if parts.scheme not in {"smtp", "smtps"} or not host or parts.path.strip("/") or parts.query:
        raise wrong
    is_tls = parts.scheme == "smtps"
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    shown = sender or f"refref@{urlsplit(base_url).hostname}"
    if "@" not in shown or any(character in shown for character in "\r\n "):
        raise SettingsError(f"REFREF_MAIL_FROM is {shown!r}. Give an address such as refref@example.com.")
    return MailServer(host, port or (465 if is_tls else 587), user, password, is_tls, shown)


def _log_level(text: str | None) -> str:
    level = (text or "info").lower()
    if level not in LOG_LEVELS:
        raise SettingsError(f"REFREF_LOG_LEVEL is {text!r}. Give one of: {', '.join(LOG_LEVELS)}.")
    return level


def _master_keys(text: str | None, data_dir: Path) -> tuple[MasterKey, ...]:
    if text:
        return _parse_master_keys(text, "REFREF_MASTER_KEY")
    path = data_dir / "master.key"
    if not path.exists():
        _create_master_key(path)
    try:
        content = path.read_text()
    except PermissionError as error:
        raise SettingsError(
            f"{path} belongs to another user. Start RefRef as the user who started it first, or set REFREF_MASTER_KEY."
        ) from error
    return _parse_master_keys(content, str(path))


def _parse_master_keys(text: str, name: str) -> tuple[MasterKey, ...]:
    keys: list[MasterKey] = []
    for part in text.replace("\n", ",").split(","):
        if not part.strip():
            continue
        key_id, separator, encoded = part.strip().rpartition(":")
        try:
            secret = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
        except binascii.Error:
            secret = b""
        if len(secret) != MASTER_KEY_BYTES or (separator and not key_id):
            raise SettingsError(
                f"Key {len(keys) + 1} in {name} is not 32 bytes in base64 (44 characters), optionally with an id and a "
                "colon before it. Make one with: openssl rand -base64 32"
            )
        keys.append(MasterKey(key_id or _id_of(secret), secret))
    if not keys:
        raise SettingsError(f"{name} holds no key. Make one with: openssl rand -base64 32")
    if len({key.id for key in keys}) != len(keys):
        raise SettingsError(f"{name} holds two keys with the same id. Give each its own: new:…,old:…")
    return tuple(keys)


def _id_of(secret: bytes) -> str:
    from hashlib import sha256  # here, because it brings OpenSSL, and the small supervisor imports this module

    return sha256(secret).hexdigest()[:8]


def _create_master_key(path: Path) -> None:
    """Write a new key; when two processes do so at once, one key wins and both use it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".master-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(os.urandom(MASTER_KEY_BYTES)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        os.unlink(temporary)


if __name__ == "__main__":
    print(settings_page(), end="")
