"""Add indexes to list the ledger by time and status. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

INDEXES = {"ix_ledger_update": ["update_time"], "ix_ledger_status": ["status", "update_time"]}


def upgrade() -> None:
    """Create the missing indexes."""
    found = [index["name"] for index in sa.inspect(op.get_bind()).get_indexes("ledger")]
    for name in INDEXES.keys() - found:
        op.create_index(name, "ledger", INDEXES[name])


def downgrade() -> None:
    """Drop the indexes."""
    for name in INDEXES:
        op.drop_index(name, "ledger")
