"""Runs a module once and records which tensor goes where.

Calls of modules are seen by a replaced ``nn.Module.__call__``, and functions between them by a TorchFunctionMode.
Within a layer or a neuron nothing is recorded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from qblif.errors import UserError
from snn.convert.modules.trace import Call, Trace

WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
CONTAINERS = {"Sequential", "ModuleList", "ModuleDict"}
SPIKINGJELLY_CONTAINERS = {
    *("MultiStepContainer", "SeqToANNContainer", "StepModeContainer"),
    *("ElementWiseRecurrentContainer", "LinearRecurrentContainer"),
}
STATES = ("mem", "syn", "spk", "v")
"""Where neurons keep their state: buffers of snnTorch, empty in a new neuron, and memories of SpikingJelly."""


def unwrapped(module: nn.Module) -> nn.Module:
    """The module in DataParallel and torch.compile."""
    while (inner := WRAPPERS.get(type(module).__name__)) is not None:
        module = getattr(module, inner)
    return module


def module_names(root: nn.Module) -> dict[nn.Module, str]:
    """The path of every module, without the wrappers' prefixes."""
    names: dict[nn.Module, str] = {}

    def walk(module: nn.Module, path: str) -> None:
        module = unwrapped(module)
        if module not in names:
            names[module] = path
            for name, child in module.named_children():
                walk(child, f"{path}.{name}" if path else name)

    walk(root, "")
    return names


def is_layer(module: nn.Module) -> bool:
    """Whether nothing is recorded within the module."""
    for kind in type(module).__mro__:
        package = kind.__module__
        if package.startswith(("spikingjelly.activation_based.model", "spikingjelly.activation_based.examples")):
            return False
        if kind.__name__ in ("StepModule", "SingleStepModule", "MultiStepModule"):
            continue  # says only that there is a step mode
        if package.startswith(("snntorch", "spikingjelly", "snn.nodes")):
            return kind.__name__ not in SPIKINGJELLY_CONTAINERS
    kind = type(module)
    return kind.__module__.startswith("torch.nn.modules") and kind.__name__ not in CONTAINERS


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Let a module run in eval mode from rest, and bring back its states and modes afterwards."""
    holders = ("_buffers", "_memories")
    saved = {}
    contents = [(buffer, buffer.clone()) for buffer in module.buffers()]
    for one in module.modules():
        inner = {name: dict(vars(one)[name]) for name in holders if name in vars(one)}
        saved[one] = (dict(vars(one)), inner)
    try:
        for one in module.modules():
            one.training = False
            if "_memories" in vars(one):
                vars(one)["_memories"].update(vars(one)["_memories_rv"])
            elif type(one).__module__.startswith(("snntorch", "snn.nodes")):
                states = [(name, value) for name, value in one._buffers.items() if name in STATES]
                one._buffers.update({name: torch.zeros(0).to(value) for name, value in states if value is not None})
        yield
    finally:
        for one, (attributes, inner) in saved.items():
            vars(one).clear()
            vars(one).update(attributes)
            for name, content in inner.items():
                vars(one)[name].clear()
                vars(one)[name].update(content)
        for buffer, before in contents:
            if not torch.equal(buffer, before):
                buffer.copy_(before)


Handler = Callable[[Call], None]


class Recorder(TorchFunctionMode):
    """Records calls.

    Attributes:
        trace: what is recorded.
        failure: an error of the recorder itself.
    """

    def __init__(self, names: dict[nn.Module, str], layers: Handler, functions: Handler) -> None:
        """Record with ``layers``, which handles a layer's call, and ``functions``; ``names``: the modules' paths."""
        super().__init__()
        self.trace = Trace()
        self.failure: Exception | None = None
        self._names = names
        self._layers = layers
        self._functions = functions
        self._inside = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Record what runs within the block."""
        original = nn.Module.__call__
        recorder = self

        def called(module: nn.Module, *arguments: Any, **options: Any) -> Any:
            return recorder._call(original, module, arguments, options)

        with torch.no_grad(), patch.object(nn.Module, "__call__", called), self:
            yield

    def _call(self, original: Any, module: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """A module's call."""
        if self._inside:
            return original(module, *arguments, **options)
        module = unwrapped(module)
        name = self._names.get(module, "")
        if not is_layer(module):
            before, self.trace.path = self.trace.path, name
            try:
                return module._call_impl(*arguments, **options)
            finally:
                self.trace.path = before
        holders = {**module._buffers, **vars(module).get("_memories", {})}
        states = {name: holders[name] for name in STATES if name in holders}
        self._inside += 1
        try:
            result = module._call_impl(*arguments, **options)
            kind = type(module).__name__
            call = Call(
                trace=self.trace,
                label=f"{name or 'the model'} ({kind})",
                name=name or kind.lower(),
                arguments=arguments,
                options=options,
                result=result,
                module=module,
                states=states,
            )
            self._handle(self._layers, call)
        finally:
            self._inside -= 1
        return result

    def _handle(self, handler: Handler, call: Call) -> None:
        """Record a call; an error in that is not the model's."""
        try:
            handler(call)
        except UserError:
            raise
        except Exception as error:
            self.failure = error
            raise

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        """A function's call."""
        options = options or {}
        if self._inside:
            return function(*arguments, **options)
        name = (resolve_name(function) or function.__name__).removesuffix(".__get__").rpartition(".")[2]
        changes = (name.endswith("_") and not name.endswith("__")) or name.startswith("__i")
        before = arguments[0].clone() if changes and arguments and isinstance(arguments[0], Tensor) else None
        result = function(*arguments, **options)
        path = self.trace.path
        call = Call(
            trace=self.trace,
            label=f"{path or 'the model'} (function {name})",
            name=".".join(filter(None, (path, name.strip("_")))),
            arguments=arguments,
            options=options,
            result=result,
            function=name,
            before=before,
        )
        self._handle(self._functions, call)
        return result
