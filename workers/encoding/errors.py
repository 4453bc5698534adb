class EncoderError(Exception):
    """The encoder could not do what it was asked."""


class TransientEncoderError(EncoderError):
    """The same texts may be encoded later or elsewhere: memory was short."""


class ModelLoadError(EncoderError):
    """The model cannot be loaded here, or is not what it was registered as; the message says what to change."""


class EncoderBrokenError(EncoderError):
    """This process can encode nothing any more, not even a word: a fresh process may."""
