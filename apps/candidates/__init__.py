"""Candidates. Their rows are personal data, so nothing here is logged."""
