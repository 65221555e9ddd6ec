"""From measured studies to change over time."""

from spinemri.followup.compare import compare_results
from spinemri.followup.radiotherapy import Radiotherapy, parse_radiotherapy
from spinemri.followup.rename import rename_levels
from spinemri.followup.transfer import transfer_levels

__all__ = ["Radiotherapy", "compare_results", "parse_radiotherapy", "rename_levels", "transfer_levels"]
