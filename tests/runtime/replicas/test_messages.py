"""What goes over the pipe comes out as it was."""

from __future__ import annotations

import pickle

import models
import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime import MFABA, Explainer
from fluxpath.runtime.replicas.messages import Explained, packed, unpacked
from fluxpath.runtime.walk import Recorded


def test_an_attribution_without_its_subject(graph):
    images = models.images("smooth", 3)
    with Explainer(graph("smooth")) as explainer:
        result = explainer.attribute(images)
        sent = pickle.loads(pickle.dumps(Explained.of(result, None)))
        again = sent.attribution(images, MFABA(), explainer.manifest)
    assert again.values.tobytes() == result.values.tobytes() and repr(again) == repr(result)
    assert len(pickle.dumps(sent)) < 2 * result.values.nbytes + 2000


def test_methods_that_note_points_can_be_sent():
    recorded = Recorded(MFABA(max_steps=7))
    recorded._points.append((np.ones(3, np.float32), 0.5, 1))
    again = pickle.loads(pickle.dumps(recorded))
    assert again._points[0][1:] == (0.5, 1) and again._method == MFABA(max_steps=7)


def test_what_cannot_be_sent_or_read_is_named():
    assert unpacked(packed({"top": 2})) == {"top": 2}
    with pytest.raises(InputError, match=r"cannot be sent to another process: .*lambda"):
        packed({"method": lambda: 0})
    elsewhere = pickle.dumps({"top": 2}).replace(b"top", b"to")
    with pytest.raises(InputError, match="a replica cannot read what was sent"):
        unpacked(elsewhere)
