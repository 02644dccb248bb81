"""The site: its reference has everything that the code has, and it builds strictly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import click
import pytest
from doc_blocks import ROOT
from notebook_pages import notebook_pages
from reference.pages import navigation, pages

from lprc.cli.root import COMMANDS, root
from lprc.core.builtin import PASSES, TARGETS
from lprc.core.errors import LprcError
from lprc.core.options import option_infos
from lprc.core.passing.pass_registry import pass_class
from lprc.core.targets.target import target


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    return pages()


def commands_below(command: click.Command, context: click.Context) -> list[click.Command]:
    if not isinstance(command, click.Group):
        return [command]
    below = (command.get_command(context, name) for name in command.list_commands(context))
    return [command, *(each for part in below if part for each in commands_below(part, context))]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_options(reference, name):
    context = click.Context(root)
    page = reference[f"reference/commands/{name}.md"]
    for command in commands_below(root.get_command(context, name), context):
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert all(f"{text}" in page for text in parameter.opts), parameter
            elif isinstance(parameter, click.Argument):
                assert parameter.make_metavar(context) in page, parameter
    assert f"[`lprc {name}`]({name}.md)" in reference["reference/commands/index.md"]


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_has_its_contract_and_options(reference, name):
    page = reference[f"reference/passes/{name}.md"]
    assert f"**Contract:** {pass_class(name).contract}." in page
    for info in option_infos(pass_class(name)):
        assert f"| `{info.name}` |" in page, info.name
    assert f"]({name}.md)" in reference["reference/passes/index.md"]


def test_passes_without_a_drawn_example_are_these(reference):
    """The others have a case that shows what they do."""
    without = {name for name in PASSES if "<svg" not in reference[f"reference/passes/{name}.md"]}
    assert without == NOT_DRAWN


NOT_DRAWN = {
    "adaround",
    "correct-bias",
    "onnx-optimizer",
    "simplify",
    "smooth-quant",
    "split-channels",
}
"""They need another tool, or data on which a repair gains something."""


def test_the_drawing_of_a_pass_shows_both_graphs(reference):
    before, after = re.findall(r"<svg.+?</svg>", reference["reference/passes/fold-bn.md"])
    assert "BatchNormalization" in before
    assert "BatchNormalization" not in after


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_its_rules_and_options(reference, name):
    page = reference[f"reference/targets/{name}.md"]
    for rule in target(name).rules:
        assert f"| `{rule.rule}` |" in page
    for info in option_infos(target(name).option_class()):
        assert f"| `{info.name}` |" in page
    assert f"]({name}.md)" in reference["reference/targets/index.md"]


def test_every_error_has_its_exit_code(reference):
    for kind in LprcError.__subclasses__():
        if kind.__module__ == LprcError.__module__:
            assert f"| `{kind.__name__}` | {kind.exit_code} |" in reference["reference/api.md"]
    listed = (ROOT / "docs" / "exit-codes.md").read_text()
    for kind in LprcError.__subclasses__():
        if kind.__module__ == LprcError.__module__:
            assert re.search(rf"^\| {kind.exit_code} \|.+`{kind.__name__}`", listed, re.MULTILINE)


def test_the_navigation_has_every_page_of_the_reference(reference):
    assert set(paths_in(navigation(sorted(reference)))) == set(reference)


def test_every_notebook_is_a_page_of_the_site():
    made = notebook_pages(ROOT)
    listed = (ROOT / "mkdocs.yml").read_text()
    assert len(made) == len(list((ROOT / "notebooks").glob("*.ipynb"))) > 3
    for path, text in made.items():
        assert f"- {path}\n" in listed
        assert ".ipynb)" not in text
        assert "```python\n" in text


def paths_in(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    below = entry.values() if isinstance(entry, dict) else entry
    return [path for part in below for path in paths_in(part)]


class Fetched(HTMLParser):
    """What a page loads by itself: scripts, styles, pictures; links lead where they like."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag != "a" and values.get("rel") != "canonical":
            self.addresses += [values[key] for key in ("src", "href") if values.get(key)]


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", tmp_path]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "NO_MKDOCS_2_WARNING": "1",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    site = list(tmp_path.rglob("*.html"))
    assert len(site) > 100
    for page in site:
        fetched = Fetched()
        fetched.feed(page.read_text(encoding="utf-8"))
        assert not [address for address in fetched.addresses if "//" in address], page
