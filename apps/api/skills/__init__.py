"""GraphQL of skills."""
