"""Candidates: personal data. Nothing here is ever logged."""
