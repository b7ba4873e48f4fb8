"""What an error is to a caller."""

from __future__ import annotations

import grpc
import pytest

from fluxpath import errors as contract
from fluxpath.runtime.serve.protocol import errors
from fluxpath.runtime.serve.protocol.errors import BusyError, fault_of, retry_after, sentence_of


@pytest.mark.parametrize(
    ("error", "http", "status"),
    [
        (contract.InputError("x"), 400, "INVALID_ARGUMENT"),
        (errors.NotFoundError("x"), 404, "NOT_FOUND"),
        (BusyError("x", 3.2), 429, "RESOURCE_EXHAUSTED"),
        (contract.QueueFullError("x"), 429, "RESOURCE_EXHAUSTED"),
        (errors.DrainingError("x"), 503, "UNAVAILABLE"),
        (contract.DeadlineError("x"), 504, "DEADLINE_EXCEEDED"),
        (contract.FluxpathError("x"), 500, "INTERNAL"),
        (KeyError("x"), 500, "INTERNAL"),
    ],
)
def test_each_error_has_its_statuses(error, http, status):
    assert (fault_of(error).http, fault_of(error).grpc) == (http, status)
    assert hasattr(grpc.StatusCode, fault_of(error).grpc)


def test_an_unexpected_error_says_nothing_of_the_inside():
    assert "secret" not in sentence_of(KeyError("secret"))
    assert sentence_of(contract.InputError("so")) == "so"


def test_when_to_come_again():
    assert retry_after(BusyError("x", 0.0)) == 1
    assert retry_after(BusyError("x", 3.2)) == 4
    assert retry_after(BusyError("x", 1e9)) == 3600
    assert retry_after(contract.InputError("x")) is None
    assert retry_after(contract.ClosedError("x")) == 1
