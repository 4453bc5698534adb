"""Counting lines of code."""

from bench.size import code_lines

SOURCE = '''"""A module.

Two lines."""

# A comment.
TEXT = """not a
docstring"""


def double(value: int) -> int:
    """Twice the value."""
    return 2 * value  # code
'''


def test_code_lines_leave_out_blank_lines_comments_and_docstrings() -> None:
    assert code_lines(SOURCE) == 4
    assert code_lines("") == 0
