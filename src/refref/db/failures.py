"""Which errors of the driver mean that the database cannot be reached now, so that asking again later is right."""

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
