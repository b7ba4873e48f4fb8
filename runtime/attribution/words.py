"""An attribution in words: three lines about all of it, a caption and a row of a table for each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fluxpath.manifest import Manifest
from fluxpath.methods import NAMES
from fluxpath.runtime.attribution.subject import class_name, measure, probability
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.records.rows import Row, finite_or_none, stored
from fluxpath.status import Status
from fluxpath.text import visible

if TYPE_CHECKING:
    from fluxpath.runtime.attribution.attribution import Attribution

# Classes and ends that a line names.
NAMED = 5
UNKNOWN = "what was explained is not known: this Attribution was made without its subject"


def summary(result: Attribution) -> str:
    """Three lines: what was explained, the classes, how it ended."""
    return "\n".join(
        map(visible, (_what(result), f"classes: {_classes(result)}", f"ended by: {_ends(result)}"))
    )


def method_words(method: Method) -> str:
    """A method's name, as on the command line, with the settings that differ from its defaults."""
    name, implied = _named(method)
    given: list[str] = []
    known: tuple[Field[Any], ...] = fields(method) if is_dataclass(method) else ()
    for field in known:
        value = getattr(method, field.name)
        if field.init and field.repr and field.name not in implied and not _is_default(value, field.default):
            given.append(f"{field.name}={_setting(value)}")
    return name + (f"({', '.join(given)})" if given else "")


def caption(result: Attribution, i: int = 0) -> str:
    """The explained class with its score, and the predicted one if that is another, as in "tabby 83.1%"."""
    manifest = None if result.subject is None else result.subject.manifest
    target, label = int(result.target[i]), int(result.label[i])
    text = f"{_class(manifest, target)} {measure(manifest, float(result.score[i]))}"
    return text if target == label else f"{text}, predicted: {_class(manifest, label)}"


def card_caption(one: Attribution) -> str:
    """What stands below the card of an attribution of one image: class, score and method."""
    method = "" if one.subject is None else f", {method_words(one.subject.method)}"
    return caption(one) + method


def row_of(name: str, result: Attribution, i: int = 0, **more: Any) -> Row:
    """The record of one image; more: further fields of `Row`."""
    manifest = None if result.subject is None else result.subject.manifest
    target, score = int(result.target[i]), float(result.score[i])
    return Row(
        name=name,
        target=target,
        label=int(result.label[i]),
        score=finite_or_none(score),
        steps=int(result.steps[i]),
        status=int(result.status[i]),
        end_score=None if result.end_score is None else finite_or_none(float(result.end_score[i])),
        class_name=stored(class_name(manifest, target)),
        probability=finite_or_none(probability(manifest, score)),
        error_rate=finite_or_none(float(result[i : i + 1].error_rate[0])),
        **more,
    )


def _what(result: Attribution) -> str:
    shape = list(result.values.shape[1:])
    what = f"{_counted(len(result), 'image' if len(shape) > 1 else 'input')} of shape {shape}"
    if result.subject is None:
        return f"{what}; {UNKNOWN}"
    return f"{what} explained with {method_words(result.subject.method)}"


def _classes(result: Attribution) -> str:
    if len(result) <= NAMED:
        return "; ".join(caption(result, i) for i in range(len(result))) or "none"
    manifest = None if result.subject is None else result.subject.manifest
    counts = Counter(result.target.tolist()).most_common()
    named = [
        f"{_class(manifest, target)} ({_counted(count, 'image')}, "
        f"{measure(manifest, float(np.median(result.score[result.target == target])))} at the median)"
        for target, count in counts[:NAMED]
    ]
    return ", ".join(named) + (f" and {len(counts) - NAMED} more" if len(counts) > NAMED else "")


def _class(manifest: Manifest | None, label: int) -> str:
    name = class_name(manifest, label)
    return f"class {name}" if name == str(label) else name


def _ends(result: Attribution) -> str:
    if not len(result):
        return "nothing"
    counts = Counter(result.status.tolist()).most_common()
    named = [f"{Status(s).words} ({_counted(n, 'image')}: {Status(s).meaning})" for s, n in counts]
    least, most = int(result.steps.min()), int(result.steps.max())
    steps = _counted(least, "step") if least == most else f"{least} to {_counted(most, 'step')}"
    return f"{', '.join(named)}; {steps}"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _named(method: Method) -> tuple[str, Mapping[str, Any]]:
    """The name, and the settings that it implies; the class's name where it is a user's own."""
    made = type(method)
    if made.__module__.startswith("fluxpath."):
        for name, (known, implied) in NAMES.items():
            if known == made.__name__ and all(
                getattr(method, key) == value for key, value in implied.items()
            ):
                return name, implied
    return made.__name__, {}


def _is_default(value: Any, default: Any) -> bool:
    if default is MISSING or isinstance(value, np.ndarray) or type(value) is not type(default):
        return False
    return bool(value == default)


def _setting(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array {list(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."
