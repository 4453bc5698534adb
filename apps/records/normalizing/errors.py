"""The one error of this package."""


class UnreadableCellError(ValueError):
    """A cell holds something, and it cannot be understood. The message says what would be right."""
