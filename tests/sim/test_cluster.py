"""Work shared out to processes of a local cluster."""

import os
import resource

import numpy as np
import pytest

from sim.cluster import shared_out

PAGES = 512
ROUNDS = 100


def process_and_faults(value):
    """The process, and the page faults of filling and freeing PAGES ROUNDS times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(ROUNDS):
        np.full(PAGES * resource.getpagesize(), value, dtype=np.uint8)
    return os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.parametrize("workers", [1, 2])
def test_every_call_is_made_where_it_should_be(workers):
    found = list(shared_out(process_and_faults, [(value,) for value in range(3)], workers=workers, scheduler=None))
    assert len(found) == 3
    assert (os.getpid() in {process for process, _ in found}) == (workers == 1)


def test_workers_of_a_local_cluster_keep_freed_memory():
    found = list(shared_out(process_and_faults, [(1,), (2,)], workers=2, scheduler=None))
    assert all(faults < 5 * PAGES for _, faults in found)
