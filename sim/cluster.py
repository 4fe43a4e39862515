"""Work shared out to processes: in this one, on a local cluster, or on a cluster of dask.distributed."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from qblif.errors import UserError

KEPT_MEMORY = {"MALLOC_TRIM_THRESHOLD_": 2**30, "MALLOC_MMAP_THRESHOLD_": 2**25}
"""What makes the C library of a local worker keep freed memory. Dask sets the first alone, to 64 KiB, which fixes the
second at 128 KiB; either has the pages of every large tensor fetched anew, longer work than a training's computing."""


def distributed() -> ModuleType:
    """The library ``distributed``; raises UserError where it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise UserError("dask.distributed is not installed; pip install 'qblif[cluster]', or --workers 1") from error
    return distributed


def check_library(workers: int, scheduler: str | None) -> None:
    """Raise UserError where :func:`shared_out` would, for want of the library."""
    if scheduler is not None or workers > 1:
        distributed()


def shared_out(
    work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], *, workers: int, scheduler: str | None
) -> Iterator[Any]:
    """``work`` of each of ``arguments``, in the order in which they are done.

    Args:
        work: a function of a module; what it takes and gives can be pickled.
        arguments: of each call.
        workers: processes of a local cluster; 1 does everything in this process.
        scheduler: address of a running scheduler to use instead.

    Raises:
        UserError: the library is missing where it is needed, or the scheduler does not answer.
    """
    if scheduler is None and workers == 1:
        for each in arguments:
            yield work(*each)
        return
    library = distributed()
    with contextlib.ExitStack() as stack:
        address = scheduler
        if scheduler is None:
            from dask import config

            environment = {f"distributed.nanny.pre-spawn-environ.{name}": size for name, size in KEPT_MEMORY.items()}
            stack.enter_context(config.set(environment))
            address = stack.enter_context(
                library.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0")
            )
        try:
            client = stack.enter_context(library.Client(address, timeout="10s"))
        except (OSError, ValueError) as error:
            raise UserError(f"no scheduler answers at {scheduler}: {error}") from error
        futures = client.map(work, *zip(*arguments, strict=True)) if arguments else []
        for _, result in library.as_completed(futures, with_results=True):
            yield result
