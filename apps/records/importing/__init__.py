"""Import files of records: readers of each format, column mappings, the loader and the commands."""
