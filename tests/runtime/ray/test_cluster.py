"""Which cluster is meant, and what is said where there is none."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

from fluxpath.cli import main
from fluxpath.errors import FluxpathError, InputError, ProviderError
from fluxpath.runtime.ray import explain

with_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason='Ray is not installed: pip install "fluxpath[ray]"'
)


@with_ray
@pytest.mark.filterwarnings("ignore")  # Ray's own
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "there is no Ray cluster at '127.0.0.1:1' .*ray start --head"),
        ("nobody.invalid:6379", "there is no Ray cluster at 'nobody.invalid:6379'"),
        ("ray://here:10001", "is local, auto or HOST:PORT"),
    ],
)
def test_a_wrong_address(photos, graph, tmp_path, address, said):
    with pytest.raises(InputError, match=said):
        explain(photos, graph("smooth"), tmp_path / "out", address=address)
    assert not (tmp_path / "out").exists()


def test_without_ray(photos, graph, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ProviderError, match=r'needs Ray: pip install "fluxpath\[ray\]"'):
        explain(photos, graph("smooth"), tmp_path / "out")
    assert main(["explain", str(graph("smooth")), str(photos), "--ray", "local"]) == 1
    assert capsys.readouterr().err == 'fluxpath: this needs Ray: pip install "fluxpath[ray]"\n'


@with_ray
@pytest.mark.filterwarnings("ignore")
def test_what_another_machine_raised_is_raised_here():
    from ray.exceptions import RayTaskError

    from fluxpath.runtime.ray.cluster import told

    inner = InputError("the file is another")
    with pytest.raises(InputError, match="the file is another"), told():
        raise RuntimeError("a long traceback") from RayTaskError("do", "a long traceback", inner)
    with pytest.raises(FluxpathError, match="Ray gave up: "), told():
        raise RayTaskError("do", "Traceback", ValueError("x"))
    with pytest.raises(ZeroDivisionError), told():
        raise ZeroDivisionError
