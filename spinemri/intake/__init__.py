"""From a folder to a study: reading headers, grouping into stacks, classifying, choosing roles."""
