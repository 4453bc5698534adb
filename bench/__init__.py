"""Benchmarks. Each prints ratios against a bare baseline measured in the same run, and one TARGET line per
promise."""
