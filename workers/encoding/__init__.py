"""From texts to vectors: the model, its batches, and the isolation of texts that it cannot encode."""
