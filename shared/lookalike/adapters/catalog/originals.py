"""Photos with a stored original, for the consistency check."""

from sqlalchemy import Connection, select, update

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.tables import originals
from lookalike.adapters.catalog.values import name_in, to_photo
from lookalike.domain.model import Photo


class OriginalQueries(Database):
    """Queries of the port `Originals`."""

    @read_transaction
    def photos_with_original(self, tx: Connection, after: str, limit: int) -> list[Photo]:
        """Return the next photos with an original, ordered by name."""
        statement = select(originals).where(originals.c.name > after, originals.c.path.is_not(None))
        rows = tx.execute(statement.order_by(originals.c.name).limit(limit)).mappings()
        return [to_photo(row) for row in rows]

    @write_transaction
    def forget_original(self, tx: Connection, photo: Photo) -> bool:
        """Remove the path of a photo's original, if it is still this one."""
        statement = update(originals).where(name_in(originals.c.name, photo.name), originals.c.path == photo.path)
        return bool(tx.execute(statement.values(path=None)).rowcount)
