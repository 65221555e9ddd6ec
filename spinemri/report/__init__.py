"""Results as a page to read: one HTML file with its figures inlined."""

from spinemri.report.page import write_report

__all__ = ["write_report"]
