"""From results to files: NIfTI, JSON, CSV."""
