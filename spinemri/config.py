"""Settings that travel with a run: see `configs/`."""
