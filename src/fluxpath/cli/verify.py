"""`fluxpath verify`: a gradient graph against float64."""

from __future__ import annotations

import argparse
from pathlib import Path

from fluxpath.cli._common import Commands, need_export


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("verify", help="check a gradient graph against differences in float64")
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Verify and print the figures."""
    done = need_export().verify(options.graph)
    print(f"{options.graph}: the gradient is right")
    print(f"  relative error of the gradient  {done.typical:.1e} at the median, {done.error:.1e} at worst")
    print(f"  error of the score              {done.score:.1e}")
