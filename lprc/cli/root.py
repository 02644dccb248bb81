"""``lprc`` itself: finds the command, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lprc._version import __version__
from lprc.cli.documents import forget
from lprc.cli.failures import machine_error, tell, tell_internal, usage_error
from lprc.cli.say import say
from lprc.cli.signals import TerminatedError, signals_raised
from lprc.core.errors import LprcError, UsageError

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
    "completion": "Print what makes a shell complete commands.",
    "doctor": "Show what this machine is and what works on it, by trying.",
}
"""Command to its one-line help, so that ``lprc --help`` imports none of them."""

INTERRUPTED = 130


class _ReaderGoneError(Exception):
    """Standard output was closed: no OSError, of which click would make exit code 1."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a closed standard output is no failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGoneError from error

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


def _print_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if not asked or ctx.resilient_parsing:
        return
    from lprc.core.process.installed import installed_versions
    from lprc.core.targets.runtimes import usable_runtimes

    installed = installed_versions(["onnx", "torch"])
    for runtime in usable_runtimes():
        installed |= runtime.versions()
    say("\n".join([f"lprc, version {__version__}", *map(" ".join, sorted(installed.items()))]))
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and those of the SDKs that are installed, and exit.",
)
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
    forget()
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug, as_json = "--debug" in options, "--json" in options
    # Images are judged by what is read of them; Pillow's remarks would stand between our lines.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with signals_raised():
            result: Any = root.main(arguments, prog_name="lprc", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except click.ClickException as error:
        sys.exit(tell(usage_error(error), as_json=as_json))
    except (click.Abort, KeyboardInterrupt):
        say("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except TerminatedError as error:
        say(f"ended by {error}", err=True)
        sys.exit(error.exit_code)
    except (BrokenPipeError, _ReaderGoneError):
        sys.exit(_close_broken_pipe())
    except (LprcError, MemoryError, OSError) as error:
        if debug:
            traceback.print_exc()
        told = error if isinstance(error, LprcError) else machine_error(error)
        sys.exit(tell(told, as_json=as_json))
    except Exception as error:  # the last resort: nobody should see a traceback
        if debug:
            raise
        sys.exit(tell_internal(error, as_json=as_json))
    sys.exit(result if isinstance(result, int) else 0)


def _close_broken_pipe() -> int:
    # `lprc passes | head` closes our standard output; the interpreter's own flush at exit
    # would complain about it once more.
    sys.stderr.close()
    return 0
