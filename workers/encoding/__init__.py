"""From texts to vectors: the model, its batches, and texts that no model can take."""
