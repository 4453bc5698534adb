"""Writes requirements/*.txt from pyproject.toml, the only place where requirements are declared.

    python -m tools.requirements            writes base.txt, worker.txt, local.txt and dev.txt
    python -m tools.requirements --pins     also pins every installed package in constraints.txt

Uses the standard library only, so that it runs before anything is installed.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "requirements"
OF_JOBREC = re.compile(r"jobrec\[(\w+)\]")
HEADER = "# Generated from pyproject.toml by `make requirements`. Do not edit.\n"


def requirement_files() -> dict[Path, str]:
    """Return the text of each requirements file, by path."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"base": project["dependencies"], **project["optional-dependencies"]}
    return {FOLDER / f"{name}.txt": _file(name, lines) for name, lines in groups.items()}


def _file(name: str, requirements: list[str]) -> str:
    own = [line for line in requirements if not OF_JOBREC.fullmatch(line)]
    included = [match[1] for line in requirements if (match := OF_JOBREC.fullmatch(line))]
    if name != "base" and not included:
        included = ["base"]
    return HEADER + "".join(f"{line}\n" for line in [*(f"-r {each}.txt" for each in included), *own])


def installed_pins() -> str:
    """Return one `name==version` line for each installed package.

    The suffix that names torch's CPU build is cut off: the same pin then fits the CPU and the CUDA build.
    """
    freeze = [sys.executable, "-m", "pip", "freeze", "--exclude-editable", "--exclude", "jobrec"]
    lines = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines()
    return "".join(f"{line.removesuffix('+cpu')}\n" for line in sorted(lines, key=str.lower))


def main() -> None:
    """Write the files; with --pins the constraints, too."""
    for path, text in requirement_files().items():
        path.write_text(text)
    if "--pins" in sys.argv:
        (FOLDER / "constraints.txt").write_text(installed_pins())


if __name__ == "__main__":
    main()
