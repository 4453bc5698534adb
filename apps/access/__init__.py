"""Programs' access: bearer tokens and how often one may ask."""
