"""Create the database role of the functions, which may read and write rows only.

Terraform grants the role to the functions' database users.
"""

from sqlalchemy import text

from lookalike.adapters.catalog import SqlCatalog
from lookalike.bootstrap import services

ROLE = "lookalike_function"
PRIVILEGES = "SELECT, INSERT, UPDATE, DELETE"


def grant(catalog: SqlCatalog) -> str:
    """Create the role with its privileges and return its name. Does nothing if the role exists with them."""
    engine = catalog.engine
    # MySQL treats an underscore in the database name of a GRANT as a wildcard
    name = str(engine.url.database).replace("_", r"\_")
    database = engine.dialect.identifier_preparer.quote_identifier(name)
    with catalog.transaction(writes=True) as tx:
        tx.execute(text(f"CREATE ROLE IF NOT EXISTS {ROLE}"))
        tx.execute(text(f"GRANT {PRIVILEGES} ON {database}.* TO {ROLE}"))
    return ROLE


def main() -> None:
    """Create the role in the database of the settings."""
    catalog = services().catalog
    assert isinstance(catalog, SqlCatalog)
    print(f"Granted {PRIVILEGES} to {grant(catalog)}")  # noqa: T201


if __name__ == "__main__":
    main()
