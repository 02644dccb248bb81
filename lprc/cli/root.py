"""``lprc`` itself: finds the command, and turns errors into one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lprc._version import __version__
from lprc.cli.say import say
from lprc.cli.signals import TerminatedError, signals_raised
from lprc.core.errors import LprcError, MachineError, UsageError

COMMANDS = {
    "compile": "Compile an ONNX model for a target.",
    "opt": "Run a pipeline of passes, without a target.",
    "export": "Export trained LPRNet weights to ONNX.",
    "run": "Run a model or a pipeline on images, videos or a camera.",
    "eval": "Measure how well a model or artefact does its task.",
    "bench": "Measure latencies, interleaved.",
    "train": "Train a network for pixels and export it.",
    "finetune": "Train a model's weights; widths, zeros and precision stay.",
    "sensitivity": "Show which layers suffer from quantisation.",
    "sweep": "Draw curves: accuracy, cost and latency over an option's values.",
    "search": "Find the best artefacts for a budget, over targets.",
    "bisect": "Find the pass and the rewrite that break a model.",
    "passes": "List the passes, or document one.",
    "targets": "List the targets, or document one.",
    "pipeline": "Print the schema of pipeline.toml.",
    "task": "List tasks, write a first task file for a model, or print a schema.",
    "runtimes": "List the runtimes, or document one.",
    "diff": "Show what differs between two models.",
    "inspect": "Show what a model is, and which targets take it.",
    "explain": "Show where a node comes from and what passes did to it.",
    "verify": "Check an artefact against its manifest, or rebuild it.",
    "sbom": "Write an artefact's bill of materials (CycloneDX).",
    "embed": "Write an artefact as C sources, to link into a program.",
    "bundle": "Write a pipeline for DeepStream or DL Streamer.",
    "build": "Build what lprc.toml asks for and what is stale.",
    "clean": "Remove what `build` wrote.",
    "schema": "Print the JSON Schema of lprc.toml.",
    "cache": "Show, shrink or empty the cache.",
    "doctor": "Show what this machine is and what works on it, by trying.",
}
"""Command to its one-line help, so that ``lprc --help`` imports none of them."""

INTERNAL_ERROR = 70
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"lprc.cli.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, but an unknown command gets a suggestion."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if not close:
                raise
            text = f"{error.message} Did you mean '{close[0]}'?"
            raise click.UsageError(text, ctx=error.ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table above without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_cmake_dir(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        say((Path(__file__).parents[1] / "cmake").as_posix())
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lprc")
@click.option(
    "--cmake-dir",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_cmake_dir,
    help="Print the folder that CMake's find_package(lprc) needs as lprc_DIR, and exit.",
)
def root() -> None:
    """Compile a trained ONNX network into a small, fast, verified artefact."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 ok, 2 usage, 3 invalid model, 4 illegal for the target, 5 promise broken,
    6 accuracy missed, 7 missing dependency, 8 unusable data, 9 unwritable output,
    70 internal error, 71 memory or files that the machine does not give, 130 interrupted,
    143 terminated (129 hung up); docs/exit-codes.md.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    # Images are judged by what is read of them; Pillow's remarks would stand between our lines.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with signals_raised():
            result: Any = root.main(arguments, prog_name="lprc", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except TerminatedError as error:
        say(f"ended by {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(_close_broken_pipe())
    except (LprcError, MemoryError, OSError) as error:
        if debug:
            traceback.print_exc()
        sys.exit(_report(error if isinstance(error, LprcError) else machine_error(error)))
    except Exception as error:  # the last resort: nobody should see a traceback
        if debug:
            raise
        summary = next(iter(str(error).splitlines()), "")
        say(f"internal error: {type(error).__name__}: {summary}", err=True)
        say("hint: run it again with --debug and report the traceback", err=True)
        sys.exit(INTERNAL_ERROR)
    sys.exit(result if isinstance(result, int) else 0)


def _report(error: LprcError) -> int:
    where = f"{error.where}: " if error.where else ""
    say(f"error: {where}{error.message}", err=True)
    if error.hint:
        say(f"hint: {error.hint}", err=True)
    return error.exit_code


def machine_error(error: MemoryError | OSError) -> MachineError:
    """What the machine refused, as one of our errors."""
    if isinstance(error, MemoryError):
        return MachineError("not enough memory", hint="a smaller batch or fewer samples need less")
    reason = error.strerror or str(error)
    place = error.filename if isinstance(error.filename, (str, bytes)) else None
    hint = "`ulimit -n` allows more" if error.errno in (errno.EMFILE, errno.ENFILE) else None
    return MachineError(reason, where=None if place is None else os.fsdecode(place), hint=hint)


def _close_broken_pipe() -> int:
    # `lprc passes | head` closes our standard output; the interpreter's own flush at exit
    # would complain about it once more.
    sys.stderr.close()
    return 0
