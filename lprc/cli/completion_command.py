"""``lprc completion``: what makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from lprc.cli.common import debug_option
from lprc.cli.say import say

PROGRAM = "lprc"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@debug_option
def command(shell: str) -> None:
    """Print a script that makes SHELL complete lprc's commands and options.

    \b
    bash  eval "$(lprc completion bash)"          in ~/.bashrc
    zsh   eval "$(lprc completion zsh)"           in ~/.zshrc
    fish  lprc completion fish > ~/.config/fish/completions/lprc.fish
    """
    from lprc.cli.root import root

    completion = get_completion_class(shell)
    assert completion is not None
    say(completion(root, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
