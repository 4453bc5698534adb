"""Counts over postings and candidates: what there is, and what a search would meet."""
