"""A made-up corpus of postings and candidates of any size, for first steps, tests and benchmarks."""
