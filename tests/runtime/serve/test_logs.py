"""The log is JSON, whatever is logged."""

from __future__ import annotations

import json
import logging
import sys

from fluxpath.runtime.serve.logs import JsonLines


def line(message, *arguments, **options):
    record = logging.getLogger("a").makeRecord("a", logging.INFO, "f", 1, message, arguments, **options)
    return json.loads(JsonLines().format(record))


def test_what_was_given_is_in_the_line():
    found = line("hello %s\n", "you", exc_info=None, extra={"request_id": "x", "odd": object})
    assert found["message"] == "hello you\n" and found["level"] == "info" and found["request_id"] == "x"
    assert found["time"].endswith("+00:00")


def test_a_traceback_is_one_line_too():
    try:
        raise ArithmeticError("why")
    except ArithmeticError:
        found = line("failed", exc_info=sys.exc_info())
    assert "ArithmeticError: why" in found["traceback"]
