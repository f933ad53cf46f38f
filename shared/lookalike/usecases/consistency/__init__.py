"""Consistency of catalog, bucket and index: what does not fit after a restore or a loss, and how it is mended."""

from lookalike.usecases.consistency.findings import Findings
from lookalike.usecases.consistency.inspect import Inspection
from lookalike.usecases.consistency.repair import Repair, RepairSummary

__all__ = ["Findings", "Inspection", "Repair", "RepairSummary"]
