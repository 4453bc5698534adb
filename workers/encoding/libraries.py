"""Torch and sentence-transformers, imported so that the garbage collector never looks at them.

They make objects by the hundred thousand, all of which stay: during the import the collector would look through them again
and again, and afterwards each full collection would hold up all threads for them.
"""

from workers.memory import made_to_stay

with made_to_stay():
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

__all__ = ["SentenceTransformer", "torch", "transformers_logging"]
