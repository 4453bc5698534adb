"""GraphQL of postings."""
