"""The log is JSON, whatever is logged."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys

from fluxpath.runtime.serve.logs import JsonLines, Together


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


def test_lines_of_a_loop_are_written_together_and_none_is_lost():
    stream = io.StringIO()
    writes = []
    stream.write = writes.append
    handler = Together(stream)
    handler.setFormatter(JsonLines())
    log = logging.Logger("together")
    log.addHandler(handler)

    async def requests():
        for number in range(3):
            log.info("%d", number)
        assert writes == []
        await asyncio.sleep(2 * Together.DELAY)
        assert [text.count("\n") for text in writes] == [3]
        log.info("3")
        log.warning("4")
        assert [text.count("\n") for text in writes] == [3, 2]
        log.info("5")

    asyncio.run(requests())
    log.info("6")
    handler.flush()
    told = [json.loads(text)["message"] for text in "".join(writes).splitlines()]
    assert told == [str(number) for number in range(7)]


def test_without_a_loop_a_line_is_written_at_once(capsys):
    handler = Together(sys.stderr)
    handler.emit(logging.makeLogRecord({"msg": "now", "levelno": logging.INFO}))
    assert capsys.readouterr().err == "now\n"
