"""The `fluxpath` command: one file per subcommand."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

import fluxpath
from fluxpath.cli import (
    bench,
    compare,
    completion,
    demo,
    evaluate,
    explain,
    export,
    info,
    serve,
    triton,
    verify,
)
from fluxpath.cli._common import in_options, own_code, say
from fluxpath.errors import FluxpathError, first_line
from fluxpath.files import naming
from fluxpath.text import visible


class _Parser(argparse.ArgumentParser):
    """Shows a user's words in its errors as `visible` does."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(message))


def parser_of() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = _Parser(
        prog="fluxpath",
        description="Compile a classifier with its input gradient, and explain its decisions.",
    )
    parser.add_argument("--version", action="version", version=f"fluxpath {fluxpath.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = (export, explain, compare, evaluate, info, verify, bench, serve, triton, demo, completion)
    for module in modules:
        module.register(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 after an error (one sentence on stderr), or 130 if interrupted."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed it (`>&-`)
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    options = parser_of().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal cannot show is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            # Print a warning as one sentence, like an error, without the line of code that raised it.
            warnings.showwarning = lambda message, *_: say(f"fluxpath: {message}", sys.stderr)
            options.run(options)
        with naming("standard output"):
            sys.stdout.flush()
    except FluxpathError as error:
        say(f"fluxpath: {in_options(str(error))}", sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of the output has gone (`| head`), so nothing more is printed, not even at exit.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 1
    except OSError as error:
        try:
            sys.stdout.flush()
        except OSError:  # what could not be written is still in its buffer, and would fail again at exit
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        where = "" if error.filename is None else f" '{error.filename}'"
        say(f"fluxpath: cannot read or write{where}: {error.strerror or error}", sys.stderr)
        return 1
    except MemoryError as error:
        say(f"fluxpath: there is not enough memory ({first_line(error)})", sys.stderr)
        return 1
    except Exception as error:
        line = own_code(error, [vars(options).get(name) or "" for name in ("method", "methods", "metrics")])
        if line is None:
            raise
        kind = type(error).__name__
        say(f"fluxpath: the method failed in {line}: {kind}: {first_line(error)}", sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        say(f"fluxpath: interrupted{f': {stop}' if str(stop) else ''}", sys.stderr)
        return 130
    return 0
