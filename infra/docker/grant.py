"""Let the functions read and write rows, and nothing else: a role in the database, which Terraform gives to their users."""

from sqlalchemy import text

from lookalike.adapters.catalog import SqlCatalog
from lookalike.bootstrap import services

ROLE = "lookalike_function"
RIGHTS = "SELECT, INSERT, UPDATE, DELETE"


def grant(catalogue: SqlCatalog) -> str:
    """May be repeated. Returns the role's name."""
    engine = catalogue.engine
    # in a grant, an underscore stands for any character
    name = str(engine.url.database).replace("_", r"\_")
    database = engine.dialect.identifier_preparer.quote_identifier(name)
    with catalogue.transaction(writes=True) as tx:
        tx.execute(text(f"CREATE ROLE IF NOT EXISTS {ROLE}"))
        tx.execute(text(f"GRANT {RIGHTS} ON {database}.* TO {ROLE}"))
    return ROLE


def main() -> None:
    catalogue = services().catalog
    assert isinstance(catalogue, SqlCatalog)
    print(f"{grant(catalogue)} may {RIGHTS}")  # noqa: T201


if __name__ == "__main__":
    main()
