"""GraphQL of candidates."""
