"""Templates of the embedded text. To change one, add a version, which is part of a model's revision.

Version 1: title, skills and text, as far as they are present:

    Nurse, intensive care
    Skills: Patient care, Triage, Ventilator management

    We are looking for …

Title and skills come first, because a model that truncates reads the beginning, and because queries are
similar to them.
"""

from collections.abc import Callable

Template = Callable[[str, str, str], str]


def _title_skills_text(title: str, skills: str, body: str) -> str:
    head = [title.strip(), f"Skills: {skills}" if skills else ""]
    return "\n\n".join(part for part in ("\n".join(line for line in head if line), body.strip()) if part)


TEMPLATES: dict[int, Template] = {1: _title_skills_text}


def input_text(template: int, *, title: str, skills: str, body: str) -> str:
    """The text to embed. Pure: equal parts give equal texts. Raises KeyError for an unknown template."""
    return TEMPLATES[template](title, skills, body)
