"""Import of a catalog that was exported elsewhere."""

from lookalike.usecases.import_catalog.importer import ImportCatalog, ImportPorts
from lookalike.usecases.import_catalog.report import Counts, ImportReport, Problem

__all__ = ["Counts", "ImportCatalog", "ImportPorts", "ImportReport", "Problem"]
