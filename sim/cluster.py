"""Work distributed over processes: in this one, on a local cluster, or on a cluster of dask.distributed."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from qblif.errors import UserError

PATIENCE = 10
"""Seconds in which a scheduler must answer."""
KEPT_MEMORY = {"MALLOC_TRIM_THRESHOLD_": 2**30, "MALLOC_MMAP_THRESHOLD_": 2**25}
"""Settings that make the C library of a local worker keep freed memory. Dask sets only the first, to 64 KiB, which
fixes the second at 128 KiB. With either value the pages of every large tensor are fetched anew, which takes longer than
the computation of a training."""


def distributed() -> ModuleType:
    """The library ``distributed``; raises UserError if it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise UserError("dask.distributed is not installed; pip install 'qblif[cluster]', or --workers 1") from error
    return distributed


def check_library(workers: int, scheduler: str | None) -> None:
    """Raise UserError if :func:`shared_out` would fail because the library is missing."""
    if scheduler is not None or workers > 1:
        distributed()


def shared_out(
    work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], *, workers: int, scheduler: str | None
) -> Iterator[Any]:
    """The results of ``work`` for each of ``arguments``, in the order in which they are finished.

    Args:
        work: a function of a module; its arguments and results can be pickled.
        arguments: arguments of each call.
        workers: processes of a local cluster; 1 does everything in this process.
        scheduler: address of a running scheduler to use instead.

    Raises:
        UserError: the library is needed but missing, or the scheduler does not answer.
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
            client = stack.enter_context(library.Client(address, timeout=PATIENCE))
        except (OSError, ValueError) as error:
            raise UserError(f"no scheduler answers at {scheduler}: {error}") from error
        futures = client.map(work, *zip(*arguments, strict=True)) if arguments else []
        for _, result in library.as_completed(futures, with_results=True):
            yield result
