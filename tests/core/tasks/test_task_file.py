"""Task files: found by name, strict, and written as they are read."""

from __future__ import annotations

import jsonschema
import pytest

from lprc.core import registry
from lprc.core.builtin import TASK_FILES, TASKS
from lprc.core.errors import DataError, LprcError
from lprc.core.files.toml_text import parse_toml
from lprc.core.tasks.task_file import (
    GROUP,
    json_schema,
    load_task,
    parse_task,
    task_choice,
    task_kind,
    task_text,
)

MASKS = """task = "segmentation"
[input]
width = 8
height = 6
color = "RGB"
mean = [1, 2, 3]
scale = 0.5
[output]
classes = ["a", "b", "c"]
ignore = 2
"""


@pytest.mark.parametrize("name", TASK_FILES)
def test_built_in_files_are_written_as_they_are_read(name):
    task = task_choice(name).task
    again = parse_task(task_text(task), name=name, where="again")
    assert (again.settings, again.kind) == (task.settings, task.kind)


@pytest.mark.parametrize("name", TASKS)
def test_kinds_are_called_what_their_files_say(name):
    assert task_kind(name).kind == name
    assert registry.is_known(name, TASKS, GROUP)


@pytest.mark.parametrize("text", [MASKS, *(f"{name}" for name in TASK_FILES)])
def test_files_fit_their_schema(text):
    if text in TASK_FILES:
        text = task_text(task_choice(text).task)
    table = parse_toml(text)
    jsonschema.validate(table, json_schema(task_kind(table["task"])))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"segmentation"', '"segmentations"', "unknown task 'segmentations'"),
        ('"segmentation"', "3", "task: must be a string"),
        ('"segmentation"', '"os:system"', "'os:system' is not a Task"),
        ("width = 8", "", "input: key 'width' is missing"),
        ("ignore = 2", "ignored = 2", "output: unknown key 'ignored'"),
        ('["a", "b", "c"]', "[]", "output.classes: must not be empty"),
        ("[input]", "[inputs]", "unknown key 'inputs'|key 'input' is missing"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, old, new, message):
    path = tmp_path / "mine.toml"
    path.write_text(MASKS.replace(old, new))
    with pytest.raises(LprcError, match=message):
        load_task(path)


def test_an_artefacts_file_imports_nothing(tmp_path):
    path = tmp_path / "task.toml"
    path.write_text('task = "antigravity:Task"\n')
    with pytest.raises(DataError, match="is not trusted to import it"):
        load_task(path, may_name_module=False)


def test_a_file_of_the_first_release():
    text = 'alphabet = "AB"\nwidth = 6\nheight = 4\nchannels = "BGR"\nmean = 127.5\nscale = 0.5\n'
    task = parse_task(text, name="old", where="old.toml")
    assert (task.kind, task.alphabet, task.input.color) == ("plates", ("A", "B"), "BGR")


@pytest.mark.parametrize("name", ["segmentatio", "nothing.tom"])
def test_a_name_that_there_is_not(name):
    with pytest.raises(DataError, match=f"unknown task '{name}'"):
        task_choice(name)
