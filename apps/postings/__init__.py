"""Job postings and the companies that publish them."""
