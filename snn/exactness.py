"""Which float types and settings keep plain sums of products exact (docs/design.md, integer form).

In burst units every value is a whole multiple of one unit, so sums of products are exact in float32 below 2^24 and in
float64 below 2^53. They are not exact in half precision, under autocast, and in TF32 or bfloat16 matrix products.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from qblif.errors import UserError

EXACT_BELOW = {torch.float32: 2**24, torch.float64: 2**53}
MATMULS: tuple[Any, ...] = (torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None))
"""Older versions of torch have only the first, and no settings of single backends."""
IEEE = "highest"


def exact_below(*types: torch.dtype) -> int:
    """The limit below which all whole numbers are exact in each of ``types``; raises UserError for other types."""
    for one in types:
        if one not in EXACT_BELOW:
            raise UserError(
                f"sums in {one} are not exact, and the integer form has to be; take model.float() or model.double()"
            )
    return min(EXACT_BELOW[one] for one in types)


@contextmanager
def plain_sums(device: str) -> Iterator[None]:
    """Switch off autocast, TF32 and bfloat16 in the block, and restore the caller's settings afterwards."""
    # torch refuses to report the common setting if single backends have their own.
    single = [getattr(matmul, "fp32_precision", None) for matmul in MATMULS]
    try:
        common: str | None = torch.get_float32_matmul_precision()
    except RuntimeError:
        common = None
    if common == IEEE and all(one in (None, "ieee") for one in single):
        with torch.autocast(device, enabled=False):
            yield
        return
    torch.set_float32_matmul_precision(IEEE)
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        if common is not None:
            torch.set_float32_matmul_precision(common)
        for matmul, one in zip(MATMULS, single, strict=True):
            if one is not None:
                matmul.fp32_precision = one
