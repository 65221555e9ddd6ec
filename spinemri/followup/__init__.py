"""From measured studies to change over time."""

from spinemri.followup.compare import compare_results
from spinemri.followup.radiotherapy import Radiotherapy, parse_radiotherapy

__all__ = ["Radiotherapy", "compare_results", "parse_radiotherapy"]
