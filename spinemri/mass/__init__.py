"""From tissues and images to the epidural mass."""
