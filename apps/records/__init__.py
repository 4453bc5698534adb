"""What postings and candidates have in common: a row from a source, its text, its skills, the terms of a match."""
