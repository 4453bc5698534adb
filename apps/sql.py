"""SQL statements in files of their own, ready for psycopg to put identifiers into."""

from functools import cache
from pathlib import Path

from psycopg.sql import SQL


@cache
def load(module_file: str, name: str) -> SQL:
    """Read the statement `sql/NAME.sql` next to the module that calls; pass its `__file__`.

    Lines that are only a comment are left out, so that a comment may contain braces and percent signs. In the
    statement, `{name}` is a part for `SQL.format` (an `Identifier` or another `SQL`), `%(name)s` a value for
    `cursor.execute`; a literal brace or percent sign is doubled. Raises FileNotFoundError for an unknown
    name.
    """
    lines = (Path(module_file).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return SQL("\n".join(line for line in lines if not line.lstrip().startswith("--")).strip())
