"""Recommendations: retrieval, ranking and explanation."""
