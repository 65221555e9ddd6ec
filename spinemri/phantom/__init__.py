"""Generated spine MR studies with exactly known truth."""
