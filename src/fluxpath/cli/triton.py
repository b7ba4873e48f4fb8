"""`fluxpath triton`: a model repository for Triton Inference Server."""

from __future__ import annotations

import argparse

from fluxpath.cli._common import Commands, named_path, say


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("triton", help="write a model repository for Triton Inference Server")
    parser.add_argument("models", nargs="+", metavar="[NAME=]MODEL",
                        help="files that 'fluxpath export' wrote: whole methods (--method) run without "
                        "fluxpath, gradient graphs with it; further versions of a model with the same inputs "
                        "and outputs are NAME:2=MODEL")  # fmt: skip
    parser.add_argument("out", type=named_path, metavar="OUT",
                        help="the repository, a folder that is empty or not there yet")  # fmt: skip
    parser.add_argument("--name", help="the name of the model, where one is given and has none before it")
    parser.add_argument("--max-batch", type=int, metavar="IMAGES",
                        help="most images that a whole method takes at a time (default 16)")  # fmt: skip
    parser.add_argument(
        "--delay",
        type=float,
        metavar="MS",
        help="milliseconds that a whole method waits for more images (default 1)",
    )
    parser.add_argument(
        "--instances",
        type=int,
        default=1,
        metavar="N",
        help="how often a model is opened, on each GPU with cuda (default 1)",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what runs it (default cpu)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the repository, and say what is in it."""
    from fluxpath.runtime.triton.options import Options
    from fluxpath.runtime.triton.repository import write

    chosen = Options(options.max_batch, options.delay, options.instances, options.device)
    names = write(options.models, options.out, chosen, options.name)
    say(f"wrote {options.out}: {', '.join(names)}")
