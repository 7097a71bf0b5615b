"""PostgreSQL: one module per noun, plain SQL over asyncpg. The only package that talks to the database."""
