"""Access for programs: bearer tokens and rate limits."""
