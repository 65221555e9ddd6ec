"""From masks to numbers, after METRICS.md definitions."""
