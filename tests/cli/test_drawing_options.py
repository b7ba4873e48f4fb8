"""The pictures' settings are options of the command line, one for each, with their meaning and default."""

from __future__ import annotations

import argparse
import dataclasses

import pytest

from fluxpath.cli import main
from fluxpath.cli._drawing import add_drawing, drawing_from
from fluxpath.errors import InputError
from fluxpath.runtime.pictures import Drawing

OTHERS = {
    "polarity": "both",
    "clip_percent_lowerbound": 12.5,
    "clip_percent_upperbound": 99.9,
    "smooth": 2.5,
    "colormap": "grey",
    "overlay": "mask",
    "outlines": 5.0,
    "size": 300,
    "channels": "abs",
    "alpha": 0.25,
    "brightness": 0.5,
}


def drawn(*arguments: str) -> Drawing:
    parser = argparse.ArgumentParser()
    add_drawing(parser)
    return drawing_from(parser.parse_args(arguments))


def test_without_options_it_is_the_usual_drawing():
    assert drawn() == Drawing()


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Drawing)])
def test_each_setting_is_an_option(field):
    """Also one that is new: then OTHERS needs a value of it."""
    option = f"--{field.replace('_', '-')}"
    assert drawn(option, str(OTHERS[field])) == dataclasses.replace(Drawing(), **{field: OTHERS[field]})
    default = getattr(Drawing(), field)
    assert drawn(option, "none" if default is None else str(default)) == Drawing()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--alpha", "2"], "alpha is 2"),
        (["--smooth", "much"], "much"),
        (["--colormap", "rainbow"], "colormap is 'rainbow'"),
        (["--size", "0"], "size is 0"),
        (["--clip-percent-lowerbound", "99.9"], "clip_percent_lowerbound"),
    ],
)
def test_a_wrong_one_is_named(arguments, said):
    with pytest.raises(InputError, match=said):
        drawn(*arguments)


@pytest.mark.parametrize("command", ["explain", "compare"])
def test_help_says_what_each_means_and_its_default(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Drawing):
        entry = text.split(f"--{field.name.replace('_', '-')} ")[-1]
        default = "none" if field.default is None else field.default
        meaning, found, _ = entry.partition(f"(default {default})")
        assert found and 20 < len(meaning) < 500, field.name
