"""GraphQL of dead letters."""
