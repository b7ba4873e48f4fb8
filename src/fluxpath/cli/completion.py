"""`fluxpath completion`: prints a script with which a shell completes fluxpath's commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from fluxpath.cli._common import Commands, named_path, show
from fluxpath.errors import InputError
from fluxpath.methods import NAMES

SHELLS = ("bash", "zsh", "tcsh")
# Options that are paths, though not by their type.
PATHS = ("out", "model", "models", "baseline", "report", "masks")

Parser = argparse.ArgumentParser


def register(commands: Commands[Parser]) -> None:
    """Add the subcommand `completion`."""
    parser = commands.add_parser("completion", help="print a script that completes commands in a shell")
    parser.add_argument("shell", choices=SHELLS, help="as in: source <(fluxpath completion bash)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the script for one shell."""
    from fluxpath.cli import parser_of

    show(script(parser_of(), options.shell))


def script(parser: Parser, shell: str) -> str:
    """The script for a shell; InputError if shtab, which makes it, is missing."""
    try:
        import shtab
    except ImportError as error:
        raise InputError('completion needs shtab: pip install "fluxpath[completion]"') from error
    from fluxpath.runtime.metrics import PRESETS

    for action in _actions(parser):
        if action.dest == "method":
            action.choices = tuple(NAMES)
        elif action.dest == "preset":
            action.choices = tuple(PRESETS)
        elif action.type in (Path, named_path) or action.dest in PATHS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell=shell))


def _actions(parser: Parser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its subcommands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
        else:
            yield action
