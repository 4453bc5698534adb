"""The command `generate_sample`."""

import io
import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.sample.management.commands.generate_sample import Command


def run(*arguments):
    """Runs the command and returns its output."""
    output = io.StringIO()
    call_command(Command(stdout=output, no_color=True), *map(str, arguments))
    return output.getvalue()


def test_command_writes_the_requested_number_of_rows(tmp_path):
    path = tmp_path / "postings.jsonl"
    assert "25 postings in" in run("postings", "--count", 25, "--out", path)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 25


def test_command_prints_json_lines():
    output = run("candidates", "--count", 3, "--seed", 5, "--out", "-")
    assert [json.loads(line)["external_id"][-1] for line in output.splitlines()] == ["1", "2", "3"]


def test_command_prints_csv():
    assert run("postings", "--count", 2, "--format", "csv", "--out", "-").startswith(
        "external_id,title,company,"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--count", 0, "--out", "-"), "at least 1"),
        (("--count", 5, "--seed", -1, "--out", "-"), "negative"),
        (("--count", 5, "--out", "postings.xlsx"), "no known ending"),
        (("--count", 5, "--format", "xml", "--out", "-"), "invalid choice: 'xml'"),
        (("--count", 5, "--out", "no/such/folder/postings.csv"), "No such file"),
    ],
)
def test_command_names_the_wrong_argument(arguments, message):
    with pytest.raises(CommandError, match=message):
        run("postings", *arguments)


def test_command_replaces_a_file_only_with_force(tmp_path):
    path = tmp_path / "postings.csv"
    path.write_text("mine")
    with pytest.raises(CommandError, match="--force"):
        run("postings", "--count", 1, "--out", path)
    assert path.read_text() == "mine"
    run("postings", "--count", 1, "--out", path, "--force")
    assert path.read_text(encoding="utf-8").startswith("external_id")
