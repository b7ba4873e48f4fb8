"""Any object with the three methods is a sink, and so are fluxpath's own."""

from __future__ import annotations

import inspect

import pytest
from sinks import ITEMS, METHOD, SINKS, breaking

from fluxpath.runtime.bulk.many import head_of
from fluxpath.runtime.bulk.sinks import Sink, open_sink


class Own:
    """A user's sink, without `abandon`."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def done(self, name):
        return name == ITEMS[1][0]

    def write(self, name, image, result):
        self.calls.append(name)

    def close(self):
        self.calls.append("close")


def test_an_object_of_a_user_is_a_sink(explainer):
    sink = Own()
    explainer.attribute_many(ITEMS[:3], sink, method=METHOD)
    assert sink.calls == [ITEMS[0][0], ITEMS[2][0], "close"]
    broken = Own()
    with pytest.raises(RuntimeError, match="broke"):
        explainer.attribute_many(breaking(0), broken, method=METHOD)
    assert broken.calls == []


@pytest.mark.parametrize("name", SINKS)
def test_fluxpaths_own_take_what_a_sink_takes(explainer, tmp_path, name):
    sink = open_sink(f"{tmp_path}/{name}", head_of(explainer, ITEMS, None, METHOD))
    for method in ("done", "write", "close"):
        wanted = inspect.signature(getattr(Sink, method)).parameters
        assert list(inspect.signature(getattr(sink, method)).parameters) == list(wanted)[1:]
    sink.close()
