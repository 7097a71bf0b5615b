"""What errors of the driver mean: the database cannot be reached now, or a value cannot be stored at all."""

import asyncpg

UNREACHABLE: tuple[type[Exception], ...] = (
    OSError,  # includes TimeoutError and ConnectionError
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)

# A value from outside that PostgreSQL cannot hold, such as a NUL in a text or a year beyond its calendar.
UNSTORABLE: tuple[type[Exception], ...] = (
    asyncpg.DataError,  # told by PostgreSQL
    asyncpg.exceptions._base.DataError,  # noticed by the driver; it has no public name of its own
)
