"""Two-level cache of the web tier and its invalidation across hosts."""
