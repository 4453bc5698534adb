"""What postings and candidates have in common: columns, inputs, filters, importing, upsert, admin."""
