"""Add an index to find the ledger entries of a photo. Can be repeated after a failure in the middle."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

INDEX = "ix_ledger_photo"


def upgrade() -> None:
    """Create the index, unless it exists."""
    found = sa.inspect(op.get_bind()).get_indexes("ledger")
    if INDEX not in [index["name"] for index in found]:
        op.create_index(INDEX, "ledger", ["photo"])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(INDEX, "ledger")
