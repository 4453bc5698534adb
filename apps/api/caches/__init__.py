"""GraphQL of the invalidation of caches."""
