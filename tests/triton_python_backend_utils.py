"""What Triton's Python backend gives its models, as far as fluxpath's uses it, for tests without a server."""

from __future__ import annotations

import json
import threading
from typing import ClassVar

TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1


class TritonModelException(Exception):  # noqa: N818
    pass


class TritonError:
    INVALID_ARG, NOT_FOUND, UNSUPPORTED = "invalid", "not found", "unsupported"
    UNAVAILABLE, INTERNAL, CANCELLED = "unavailable", "internal", "cancelled"

    def __init__(self, message, code):
        self.message, self.code = message, code


class Tensor:
    def __init__(self, name, array):
        self._name, self._array = name, array

    def name(self):
        return self._name

    def as_numpy(self):
        return self._array


class InferenceResponse:
    def __init__(self, output_tensors=(), error=None):
        self.error, self.outputs = error, {t.name(): t.as_numpy() for t in output_tensors}


class Logger:
    lines: ClassVar[list[str]] = []

    @classmethod
    def log_error(cls, text):
        cls.lines.append(text)


class Request:
    """A request and its sender. outputs: names that are asked for. cancelled: set when its caller goes."""

    def __init__(self, arrays, outputs, timeout=0, **parameters):
        self._arrays, self._outputs, self._timeout, self._parameters = arrays, outputs, timeout, parameters
        self._sent, self.response = threading.Event(), None
        self.cancelled = False

    def inputs(self):
        return [Tensor(name, array) for name, array in self._arrays.items()]

    def parameters(self):
        return json.dumps(self._parameters)

    def timeout(self):
        return self._timeout

    def request_id(self):
        return "mine"

    def requested_output_names(self):
        return set(self._outputs)

    def get_response_sender(self):
        return self

    def is_cancelled(self):
        assert self.response is None, "a sender that has sent is asked"
        return self.cancelled

    def send(self, response, flags):
        assert flags == TRITONSERVER_RESPONSE_COMPLETE_FINAL and self.response is None
        self.response = response
        self._sent.set()

    def answered(self):
        """The response, when it is there."""
        assert self._sent.wait(20), "no answer"
        return self.response
