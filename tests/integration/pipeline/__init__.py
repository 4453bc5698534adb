"""Tests of the whole pipeline with real processes."""
