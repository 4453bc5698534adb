"""GraphQL of embedding runs."""
