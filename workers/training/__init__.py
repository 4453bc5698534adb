"""Training of an adapter of the embedding model, from public names and from the site's own postings."""
