"""From results to pages and pictures."""
