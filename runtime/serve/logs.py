"""The server's log: one JSON object a line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

_KNOWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """Time, level, logger, message, what was given as `extra`, and a traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{k: v for k, v in vars(record).items() if k not in _KNOWN},
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


class Together(logging.Handler):
    """Writes the lines of an event loop's thread that come within DELAY together, warnings at once.

    A write gives the interpreter to other threads, and under load the loop then waits for it.
    """

    DELAY = 0.02
    """Seconds."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line or, where nothing would write it later, write it now."""
        try:
            self._lines.append(self.format(record) + "\n")
            if record.levelno >= logging.WARNING or not self._is_left_to_a_loop():
                self.flush()
        except Exception:  # as logging's own handlers: a log that cannot be written fails no request
            self.handleError(record)

    def flush(self) -> None:
        """Write what was kept; `logging` does it, too, at the end of the process."""
        with self.lock or contextlib.nullcontext():
            lines, self._lines = self._lines, []
            self._stream.write("".join(lines))
            self._stream.flush()

    def _is_left_to_a_loop(self) -> bool:
        if len(self._lines) > 1:  # the first has seen to it
            return True
        try:
            asyncio.get_running_loop().call_later(self.DELAY, self.flush)
        except RuntimeError:  # there is no loop in this thread
            return False
        return True


def log_to_stderr(level: str) -> None:
    """Have everything that is logged written so."""
    handler = Together(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "asyncio", "grpc"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
