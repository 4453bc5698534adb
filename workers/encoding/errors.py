"""Errors of the encoder itself, as opposed to errors that one text causes."""


class EncoderError(Exception):
    """The encoder failed; no text is to blame."""


class TransientEncoderError(EncoderError):
    """Memory was short: the same texts may be encoded later or on another machine."""


class ModelLoadError(EncoderError):
    """The model cannot be loaded, or differs from its registration; the message names the remedy."""


class EncoderBrokenError(EncoderError):
    """This process cannot encode even a plain word any more; a new process may."""


class InterruptedEncodingError(EncoderError):
    """A callback between two batches raised `error`: neither the encoder nor a text is at fault."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
