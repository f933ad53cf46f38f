"""Alembic environment. Runs the migrations on the connection passed by `schema`."""

from alembic import context

from lookalike.adapters.catalog.tables import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
