"""The processes that train one model together: those of torchrun, or only this one."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn

from qblif.errors import UserError
from snn.decay import Decay


@dataclass(frozen=True, kw_only=True)
class Workers:
    """This process is number ``rank`` of ``count``, and computes on ``device``."""

    rank: int = 0
    count: int = 1
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that tests, reports and writes."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch."""
        return batch[self.rank :: self.count]

    def parallel(self, model: nn.Module) -> nn.Module:
        """``model`` with gradients that are the mean over all processes."""
        if self.count == 1:
            return model
        # Learned leaks get no gradient in the integer phase.
        leaks = any(isinstance(module, Decay) and module.raw is not None for module in model.modules())
        return nn.parallel.DistributedDataParallel(model, find_unused_parameters=leaks)

    def agree(self, model: nn.Module) -> None:
        """Give every process the buffers of the first; the parameters are already the same."""
        if self.count > 1:
            for buffer in model.buffers():
                torch.distributed.broadcast(buffer, 0)


def device_of(name: str, local_rank: int) -> torch.device:
    """``cpu``, ``cuda``, or with ``auto`` the better of those available; raises UserError."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here; take --device cpu")
    # A test must be exact, and uses matrix products; only training uses convolutions.
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = False, True
    torch.backends.cudnn.benchmark = True
    return torch.device("cuda", local_rank)


def processor(device: torch.device) -> str:
    """The processor: ``cpu``, or the GPU's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@contextmanager
def workers(device: str, batch: int) -> Iterator[Workers]:
    """The processes that torchrun started, or only this one.

    Args:
        device: as in :func:`device_of`.
        batch: images per step; raises UserError unless the processes can share them evenly.
    """
    if "RANK" not in os.environ:
        yield Workers(device=device_of(device, 0))
        return
    chosen = device_of(device, int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        count = torch.distributed.get_world_size()
        if batch % count:
            raise UserError(f"--batch {batch} cannot be shared out to {count} processes; take a multiple of {count}")
        yield Workers(rank=torch.distributed.get_rank(), count=count, device=chosen)
    finally:
        # DDP's reference cycles hold the group's threads; a process that ends while they run is aborted.
        gc.collect()
        torch.distributed.destroy_process_group()
