"""What holds the model or runs under Celery. No app imports this package; only `encoding` imports torch."""
