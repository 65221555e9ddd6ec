"""From masks to numbers, after METRICS.md definitions."""

from spinemri.measure.study import Measured, measure_study

__all__ = ["Measured", "measure_study"]
