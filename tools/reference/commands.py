"""A page for each command of ``lprc``, from click."""

from __future__ import annotations

import click

from lprc.cli.root import COMMANDS, root
from reference.markdown import code, fenced, plain, table


def pages() -> dict[str, str]:
    """The pages by their paths."""
    index = table(
        ["command", "what it does"],
        [[f"[`lprc {name}`]({name}.md)", plain(summary)] for name, summary in COMMANDS.items()],
    )
    own = _options(root, click.Context(root, info_name="lprc"))
    documents = {
        "reference/commands/index.md": "# Commands\n\n"
        "Every failure is one line and has [an exit code](../../exit-codes.md).\n\n"
        f"{index}\n## Options of `lprc` itself\n\n{own}"
    }
    context = click.Context(root, info_name="lprc")
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None, name
        text = "\n".join(_sections(command, name, context, level=1))
        documents[f"reference/commands/{name}.md"] = text
    return documents


def _sections(command: click.Command, name: str, parent: click.Context, level: int) -> list[str]:
    """The command's section, and behind it those of its subcommands."""
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = plain(" ".join((command.help or "").split()))
    sections = [
        f"{'#' * level} `{context.command_path}`\n",
        f"{text}\n",
        fenced("text", usage),
        _options(command, context),
    ]
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            subcommand = command.get_command(context, below)
            assert subcommand is not None, below
            sections += _sections(subcommand, below, context, level + 1)
    return sections


def _options(command: click.Command, context: click.Context) -> str:
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            rows.append([code(record[0]), plain(record[1])])
    return table(["option", "what it does"], rows)
