"""Read foreign files as one stream of rows: tables, JSON, XML, spreadsheets and Parquet, in any usual encoding and packing."""
