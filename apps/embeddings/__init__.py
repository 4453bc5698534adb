"""Model versions, vectors, and the ledger of the runs that make them. Knows no model and no Celery."""
