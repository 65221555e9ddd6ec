"""From measured studies to change over time."""
