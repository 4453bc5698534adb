"""Who fits what: retrieval, ranking, and the reasons."""
