"""Brings a database to the newest schema with Alembic. Migrations only go forward; each is one transaction."""

from pathlib import Path

HERE = Path(__file__).parent / "migrations"
HEAD = "0016"


def upgrade(dsn: str) -> None:
    """Migrate the PostgreSQL database at `dsn` (postgresql://...) to HEAD as its owner; a no-op when it is there."""
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    engine = sqlalchemy.create_engine(sqlalchemy_url(dsn), poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        # Two processes that start together: the second waits, then finds nothing to do.
        connection.exec_driver_sql("select pg_advisory_lock(hashtext('refref migrate'))")
        connection.commit()
        command.upgrade(config, "head")
        connection.commit()
    engine.dispose()


def sqlalchemy_url(dsn: str) -> str:
    """The same address for SQLAlchemy's psycopg driver."""
    _, _, rest = dsn.partition("://")
    return f"postgresql+psycopg://{rest}"
