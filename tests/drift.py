"""Whether what is generated still follows from its source: migrations, schema.graphql, gRPC stubs.

`python -m tests.drift` prints what drifted and the command that mends it, and then exits with 1.
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
    from django.core.management import call_command

    out = io.StringIO()
    try:
        # No database runs here, and none is needed to compare models with migrations.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            call_command("makemigrations", check=True, dry_run=True, stdout=out)
    except SystemExit:
        return f"models have changes without a migration (manage.py makemigrations):\n{out.getvalue()}"
    return ""


def schema() -> str:
    from graphene_django.settings import graphene_settings
    from graphql import print_schema

    printed = print_schema(graphene_settings.SCHEMA.graphql_schema)
    if (ROOT / "schema.graphql").read_text().strip() != printed.strip():
        return "schema.graphql is not what the code says (make schema)"
    return ""


def stubs() -> str:
    protos = sorted(path.relative_to(ROOT) for path in (ROOT / "proto").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [f"--{kind}_out={scratch}" for kind in ("python", "grpc_python")]
        outputs += [f"--{kind}_out=quiet:{scratch}" for kind in ("mypy", "mypy_grpc")]
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, *map(str, protos)]
        subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"PATH": _path()})
        for made in sorted(Path(scratch).rglob("*.py*")):
            kept = ROOT / made.relative_to(scratch)
            if not kept.exists() or kept.read_text() != made.read_text():
                return f"{kept.relative_to(ROOT)} is not what its .proto says (make proto)"
    return ""


def requirements() -> str:
    """Return what to do where a requirements file differs from pyproject.toml."""
    from tools.requirements import requirement_files

    for path, text in requirement_files().items():
        if not path.exists() or path.read_text() != text:
            return f"{path.relative_to(ROOT)} differs from pyproject.toml: run `make requirements`"
    return ""


def _path() -> str:
    """protoc looks for its mypy plugins on PATH; they lie beside this interpreter."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    drifted = [message for check in (migrations, schema, stubs, requirements) if (message := check())]
    for message in drifted:
        print(message, file=sys.stderr)
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
