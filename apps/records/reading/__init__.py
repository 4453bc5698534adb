"""Read tables, JSON, XML, spreadsheets and Parquet, of any encoding and packing, as a stream of rows."""
