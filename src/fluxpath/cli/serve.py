"""`fluxpath serve`: explanations over REST and gRPC, and a page for people."""

from __future__ import annotations

import argparse
import dataclasses
import os
import typing
from typing import Any

from fluxpath.cli._common import Commands
from fluxpath.errors import ProviderError
from fluxpath.runtime.serve.settings import Settings

_NEEDED = {"starlette", "uvicorn", "grpc", "tritonclient", "prometheus_client", "python_multipart"}


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `serve`: a flag for each field of `Settings`."""
    parser = commands.add_parser("serve", help="serve explanations over REST and gRPC, with a page")
    parser.add_argument("models", nargs="*", metavar="[NAME=]MODEL",
                        help="files that 'fluxpath export' wrote, each with a name if you like, or with a "
                        "name and a version: NAME:2=MODEL")  # fmt: skip
    hints = typing.get_type_hints(Settings)
    for field in dataclasses.fields(Settings):
        flag, kind = "--" + field.name.replace("_", "-"), hints[field.name]
        text = field.metadata["help"]
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default, help=text)
            continue
        plain = next(k for k in (*typing.get_args(kind), kind) if k in (int, float, str))
        said = "" if field.default is None else f" (default {field.default})"
        parser.add_argument(flag, type=plain, default=field.default, help=text + said)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    try:
        from fluxpath.runtime.serve.running import run
    except ImportError as error:
        if (error.name or "").split(".")[0] not in _NEEDED:
            raise
        raise ProviderError(
            f"the server needs {error.name}, beside Starlette, uvicorn and grpcio: "
            'pip install "fluxpath[serve]"'
        ) from error
    chosen: dict[str, Any] = {f.name: getattr(options, f.name) for f in dataclasses.fields(Settings)}
    chosen["token"] = chosen["token"] or os.environ.get("FLUXPATH_TOKEN") or None
    run(options.models, Settings(**chosen))
