"""What holds the model or runs under Celery. No app imports this package; torch is imported in encoding alone."""
