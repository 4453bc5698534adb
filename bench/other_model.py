"""A second model of other dimensions, made of the bundled one: no hub is needed to change models."""

from pathlib import Path


def make(folder: Path, *, dimensions: int) -> str:
    """Saves the bundled model with a fixed random projection to `dimensions` behind it; returns the folder's
    name."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize
    from transformers.utils import logging

    from workers.encoding.encoder import location_of

    logging.disable_progress_bar()
    model = SentenceTransformer(location_of("all-MiniLM-L6-v2"), device="cpu")
    width = model.get_embedding_dimension() or 0
    torch.manual_seed(1)
    dense = Dense(width, dimensions, bias=False, activation_function=torch.nn.Identity())
    made = SentenceTransformer(modules=[*model, dense, Normalize()], device="cpu")
    made.save(str(folder))
    return str(folder)
