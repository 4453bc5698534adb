"""GraphQL of counts and distributions."""
