"""The operations of the API, as methods of both clients."""

from lookalike.client.operations.accounts import AccountOperations
from lookalike.client.operations.administration import AdministrationOperations
from lookalike.client.operations.browse import BrowseOperations
from lookalike.client.operations.catalog import CatalogOperations
from lookalike.client.operations.jobs import JobOperations
from lookalike.client.operations.search import SearchOperations


class Operations(
    SearchOperations, CatalogOperations, BrowseOperations, JobOperations, AccountOperations, AdministrationOperations
):
    """All operations."""
