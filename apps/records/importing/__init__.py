"""Reading foreign files into records: streaming, mapped, validated, in set-based batches, with a rejects file."""
