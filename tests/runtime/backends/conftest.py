"""What several of these tests look through."""

from __future__ import annotations

import types

import pytest

from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.onnx import OnnxSession


@pytest.fixture
def opened(monkeypatch):
    """The provider options of each session of ONNX Runtime that is opened for a device."""
    given = []
    original = OnnxSession.__init__

    def instead(self, path, providers=opening.CPU, threads=None, options=None, optimized=True):
        original(self, path, opening.CPU, threads, optimized=optimized)
        if options is not None:
            given.append(dict(zip(providers, options, strict=True)))
            self._session = types.SimpleNamespace(get_providers=lambda: list(providers))

    monkeypatch.setattr(OnnxSession, "__init__", instead)
    return given
