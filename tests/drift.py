"""Check that generated files follow from their sources: migrations, schema, gRPC stubs,
requirements, reference pages.

`python -m tests.drift` prints what drifted and the command that fixes it, and then exits with 1.
"""

import io
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def migrations() -> str:
    """Return the changes of the models that no migration has."""
    from django.core.management import call_command

    out = io.StringIO()
    try:
        # No database runs here, and none is needed to compare models with migrations.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            call_command("makemigrations", check=True, dry_run=True, stdout=out)
    except SystemExit:
        return f"Models have changes without a migration. Run `manage.py makemigrations`:\n{out.getvalue()}"
    return ""


def schema() -> str:
    """Return what to do where schema.graphql differs from the code."""
    from graphene_django.settings import graphene_settings
    from graphql import print_schema

    printed = print_schema(graphene_settings.SCHEMA.graphql_schema)
    if (ROOT / "schema.graphql").read_text().strip() != printed.strip():
        return "schema.graphql differs from the code: run `make schema`"
    return ""


def stubs() -> str:
    """Return what to do where a gRPC stub differs from its .proto file."""
    protos = sorted(path.relative_to(ROOT) for path in (ROOT / "proto").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [f"--{kind}_out={scratch}" for kind in ("python", "grpc_python")]
        outputs += [f"--{kind}_out=quiet:{scratch}" for kind in ("mypy", "mypy_grpc")]
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, *map(str, protos)]
        subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"PATH": _path()})
        for made in sorted(Path(scratch).rglob("*.py*")):
            stub = ROOT / made.relative_to(scratch)
            if not stub.exists() or stub.read_text() != made.read_text():
                return f"{stub.relative_to(ROOT)} differs from its .proto file: run `make proto`"
    return ""


def requirements() -> str:
    """Return what to do where a requirements file differs from pyproject.toml."""
    from tools.requirements import requirement_files

    for path, text in requirement_files().items():
        if not path.exists() or path.read_text() != text:
            return f"{path.relative_to(ROOT)} differs from pyproject.toml: run `make requirements`"
    return ""


def reference() -> str:
    """Return what to do where a generated page of the docs differs from the code."""
    from tools.reference import pages

    for path, text in pages().items():
        if not path.exists() or path.read_text() != text:
            return f"{path.relative_to(ROOT)} differs from the code: run `make reference`"
    return ""


def _path() -> str:
    """protoc looks for its mypy plugins on PATH; they are next to this interpreter."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def main() -> int:
    """Print every drift. Return 1 if there is one."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    drifted = [
        message for check in (migrations, schema, stubs, requirements, reference) if (message := check())
    ]
    for message in drifted:
        print(message, file=sys.stderr)
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
