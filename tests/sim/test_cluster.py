"""Work shared out to processes of a local cluster."""

import os

import pytest

from sim.cluster import KEPT_BYTES, shared_out


def process_and_variable(name):
    return os.getpid(), os.environ.get(name)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_call_is_made_and_a_local_cluster_keeps_freed_memory(workers, monkeypatch):
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    names = ["MALLOC_TRIM_THRESHOLD_", "QBLIF_IS_NOT_SET", "QBLIF_IS_NOT_SET_EITHER"]
    found = list(shared_out(process_and_variable, [(name,) for name in names], workers=workers, scheduler=None))
    assert len(found) == 3
    assert {value for _, value in found} == ({None} if workers == 1 else {None, str(KEPT_BYTES)})
    assert (os.getpid() in {process for process, _ in found}) == (workers == 1)
