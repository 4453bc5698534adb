"""GraphQL of ranked matches and interactions."""
