"""Statistics over postings and candidates: dashboards, facets of a search, companies and categories."""
