"""The text that is embedded for a row. Its version is part of a model's revision: to change it, add a number.

Version 1: title, then skills, then text, where each is present:

    Nurse, intensive care
    Skills: Patient care, Triage, Ventilator management

    We are looking for …

The title stands first because a model that truncates reads the beginning, and because a searcher's query is most like
it; the skills come before the text for the same reason.
"""

from collections.abc import Callable

Template = Callable[[str, str, str], str]


def _title_skills_text(title: str, skills: str, body: str) -> str:
    head = [title.strip(), f"Skills: {skills}" if skills else ""]
    return "\n\n".join(part for part in ("\n".join(line for line in head if line), body.strip()) if part)


TEMPLATES: dict[int, Template] = {1: _title_skills_text}


def input_text(template: int, *, title: str, skills: str, body: str) -> str:
    """The text to embed. Pure; equal parts give equal text. Raises KeyError for an unknown template."""
    return TEMPLATES[template](title, skills, body)
