"""Alembic's environment: runs on the connection that `schema` hands over."""

from alembic import context

from lookalike.adapters.catalog.tables import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
