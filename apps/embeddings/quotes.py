"""Error messages without the text that they are about, which may be somebody's résumé."""

from difflib import SequenceMatcher

MIN_QUOTE = 16  # characters in a row that a message shares with a text when it quotes the text
MAX_MESSAGE = 1_000  # characters


def without_quotes(message: str, *, of: str) -> str:
    """Replace each quote of the text `of` in an error message by an ellipsis, and cut long messages.

    A message or a text that is shorter than a quote counts as a quote as a whole.
    """
    message = message[:MAX_MESSAGE]
    min_quote = max(min(MIN_QUOTE, len(of), len(message)), 1)
    while True:
        match = SequenceMatcher(None, message, of, autojunk=False).find_longest_match()
        if match.size < min_quote:
            return message.replace("\0", "…")
        # No text of a row contains a NUL, so that what was replaced never matches again.
        message = f"{message[: match.a]}\0{message[match.a + match.size :]}"
