"""Runs a module once and records which tensor goes where.

Calls of modules are seen by a replaced ``nn.Module.__call__``, and functions between them by a TorchFunctionMode.
Within a layer or a neuron nothing is recorded.
"""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from qblif.errors import UserError
from snn.convert.graph import Convolution, Dense, Flatten
from snn.convert.terms import ADD, INPUT, ZERO, Joined, MismatchError, Operation, Term, Terms
from snn.convert.values import Axis, Collected, Opaque, Traced, Value, joined, mark, places, regrouped

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
    for name, module in root.named_modules():
        inner = unwrapped(module)
        names.setdefault(inner, re.sub(r"(^|\.)(_orig_mod|module)(?=\.|$)", "", name).strip("."))
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


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors_in(one)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """A call of a layer or a function that got recorded tensors.

    Attributes:
        label: for error messages.
        name: what its node is called.
        module: the layer, or None.
        function: the function's name, or "".
        states: the neuron's, before the call.
        before: what a function in place changes, before it.
    """

    recorder: "Recorder"
    label: str
    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    result: Any
    module: nn.Module | None = None
    function: str = ""
    states: dict[str, Any] = field(default_factory=dict)
    before: Tensor | None = None

    def refuse(self, problem: str) -> UserError:
        """The error that says that this call cannot be converted."""
        return UserError(f"{self.label}: {problem}")

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by its position or its name."""
        if position < len(self.arguments):
            return self.arguments[position]
        return self.options.get(name, default)

    def traced(self, tensor: Any) -> Traced:
        """The value of a tensor that must depend on the input, or be zeros."""
        value = self.recorder.read(self, tensor, 0)
        if value is None:
            raise self.refuse("reads a tensor that does not come from the model's input; pass it through the model")
        return value

    def guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result; its errors get this call's name."""
        try:
            return function(*arguments)
        except UserError as error:
            raise self.refuse(str(error)) from error

    def operation(self, kind: Any, parameters: tuple[Tensor, ...] = (), /, **fields: Any) -> Operation:
        """An operation of this call; what it holds are parameters, or computed from ``parameters``."""
        used = (*parameters, *self.recorder.parameters(list(fields.values())))
        return self.recorder.operation(self.name, kind, fields, used)


Handler = Callable[[Call], None]


@dataclass(eq=False, repr=False)
class Recorder(TorchFunctionMode):
    """Records calls.

    Attributes:
        names: the path of each module.
        layers: handles a layer's call.
        functions: handles a function's call.
        shape: the features of the input, as long as they are known.
        sample: the axes of the sample.
        records: what neurons did.
    """

    names: dict[nn.Module, str]
    layers: Handler
    functions: Handler
    shape: tuple[int, ...] | None = None
    sample: list[Axis] = field(default_factory=list)
    records: dict[nn.Module, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._values: dict[int, tuple[Tensor, Value]] = {}
        self._derived: dict[int, tuple[Tensor, tuple[Tensor, ...]]] = {}
        self._operations: dict[Any, Operation] = {}
        self._inside = 0
        self.used: set[int] = set()
        self.rows = False
        self.failure: Exception | None = None
        self._path: list[str] = []
        self.terms = Terms(lambda: self.time is not None)

    def begin(self, sample: Tensor) -> None:
        """Say which tensor is the network's input."""
        self.sample = [Axis(length, None, (place,)) for place, length in enumerate(sample.shape)]
        lead = tuple((axis,) for axis in self.sample)
        self.tag(sample, Traced(self.terms.make(INPUT), lead, raw=True))

    @property
    def time(self) -> int | None:
        """Which axis of the sample is time."""
        return next((place for place, axis in enumerate(self.sample) if axis.role == "time"), None)

    def value(self, tensor: Tensor) -> Value | None:
        """What a tensor is, or None if the run did not compute it from the input."""
        return self._values.get(id(tensor), (None, None))[1]

    def tag(self, tensor: Tensor, value: Value) -> None:
        """Say what a tensor is; it is kept so that no other gets its identity."""
        self._values[id(tensor)] = (tensor, value)

    def sharing(self, tensor: Tensor) -> bool:
        """Whether another recorded tensor has memory in common with this one."""
        where = tensor.untyped_storage().data_ptr()
        others = (other for other, _ in self._values.values() if other is not tensor)
        return any(other.untyped_storage().data_ptr() == where for other in others)

    def parameters(self, tensors: Any) -> tuple[Tensor, ...]:
        """The model's parameters from which tensors were computed."""
        found: list[Tensor] = []
        for tensor in tensors_in(tensors):
            if isinstance(tensor, nn.Parameter):
                found.append(tensor)
            else:
                found += self._derived.get(id(tensor), (None, ()))[1]
        return tuple(found)

    def operation(self, name: str, kind: Any, fields: dict[str, Any], parameters: tuple[Tensor, ...]) -> Operation:
        """The operation with these fields; every timestep's is the same object."""
        key = (name, kind, *((one, fingerprint(value)) for one, value in fields.items()))
        return self._operations.setdefault(key, Operation(name, kind, fields, parameters))

    def read(self, call: Call, tensor: Any, count: int) -> Traced | None:
        """The value of a tensor; None for a constant other than zeros.

        Args:
            call: what reads it.
            tensor: what is read.
            count: how many of its dimensions are features, if it is constant.
        """
        if not isinstance(tensor, Tensor):
            raise call.refuse("reads something that is not a tensor; pass it one")
        value = self.value(tensor)
        if isinstance(value, Opaque):
            raise call.refuse(value.reason)
        if isinstance(value, Collected):
            value = call.guarded(self.collected, value)
            self.tag(tensor, value)
        if value is None and not bool(tensor.any()):
            shape = tuple(tensor.shape)
            start = max(len(shape) - count, 0)
            lead = tuple((Axis(one),) for one in shape[:start])
            return Traced(self.terms.make(ZERO), lead, shape[start:])
        return value

    def collected(self, value: Collected) -> Traced:
        """The sequence of the timesteps that were stored in a tensor."""
        if len(value.items) < value.length:
            raise UserError("reads a tensor in which not every timestep is stored; store all of them")
        return self.sequence([value.items[step] for step in range(value.length)], value.dimension)

    def sequence(self, items: list[Traced], dimension: int) -> Traced:
        """Timesteps, stacked along a dimension; raises UserError if they are not those of one layer."""
        first = items[0]
        if dimension > len(first.lead):
            raise UserError("puts time behind the features; put it at dimension 0 or 1")
        for other in items[1:]:
            if other.shape != first.shape or other.raw != first.raw:
                raise UserError("stacks tensors of different shapes; stack the timesteps of one")
            joined(first.lead, other.lead)
        try:
            term = self.terms.lifted([item.term for item in items])
        except MismatchError as error:
            raise UserError(f"stacks what are not the timesteps of one layer, in order: it {error}") from error
        time = Axis(len(items), "time", places(first.lead, dimension))
        return replace(first, term=term, lead=(*first.lead[:dimension], (time,), *first.lead[dimension:]))

    def features(self, call: Call, value: Traced, counts: tuple[int, ...]) -> Traced:
        """The value with one of these numbers of feature dimensions; a tensor of the sample gets the largest."""
        if not value.raw:
            if len(value.shape) not in counts:
                raise call.refuse(f"gets {len(value.shape)} dimensions of features, not {counts[0]}; reshape them")
            return value
        count = max((one for one in counts if len(value.lead) > one), default=0)
        if not count:
            raise call.refuse(f"gets a sample of {len(value.lead)} dimensions; give it a batch axis, as (N, C, H, W)")
        lead, groups = value.lead[:-count], value.lead[-count:]
        axes = [axis for group in groups for axis in group]
        for axis in axes:
            call.guarded(axis.take, "feature")
        if len(lead) == 1 and len(lead[0]) == 1:
            call.guarded(mark, lead[0], "batch")
        order = [axis.place or () for axis in axes]
        if order != sorted(order):
            raise call.refuse("gets the sample's axes in another order; give the sample as (N, C, H, W)")
        flat = len(groups) < len(axes)
        if (flat and len(groups) > 1) or len(axes) > 3:
            raise call.refuse("gets a sample of more than channels, rows and columns; give it as (N, C, H, W)")
        shape = tuple(axis.size for axis in axes)
        if self.shape not in (None, shape):
            raise call.refuse(
                f"reads the input as {shape}, and another layer as {self.shape}; give both the same shape"
            )
        self.shape = shape
        self.rows = self.rows or not flat
        value = replace(value, lead=lead, shape=shape, raw=False)
        return self.flattened(value) if flat else value

    def reshaped(self, call: Call, value: Traced, target: list[int]) -> Traced:
        """The value as a tensor of another shape."""
        value, flat = call.guarded(regrouped, value, target)
        if not flat:
            return value
        name = ".".join(filter(None, (self.path, "flatten"))) if call.module is None else call.name
        operation = self.operation(name, Flatten, {}, ())
        return replace(value, term=self.applied(call, value, operation))

    def flattened(self, value: Traced) -> Traced:
        """The features of the sample in one dimension."""
        operation = self.operation("flatten", Flatten, {}, ())
        return replace(value, term=self.terms.make(operation, [value.term]), shape=(math.prod(value.shape),))

    def applied(self, call: Call, value: Traced, *operations: Operation) -> Term:
        """The operations on a value, in order."""
        term = value.term
        for operation in operations:
            if value.reduction == "sum" or (value.reduction and not operation.affine):
                raise call.refuse(f"reads a {value.reduction} over time; let it read every timestep")
            term = (
                self._parted(call, operation, term)
                if isinstance(term.head, Joined)
                else self.terms.make(operation, [term])
            )
        return term

    def _parted(self, call: Call, operation: Operation, joined: Term) -> Term:
        """An operation on joined features: the sum of one operation for each part."""
        assert isinstance(joined.head, Joined)
        if operation.kind not in (Dense, Convolution) or operation.fields.get("groups", 1) != 1:
            raise call.refuse("reads joined features; only Linear and Conv with groups=1 can; add the tensors instead")
        start, total = 0, None
        for count, argument in zip(joined.head.channels, joined.arguments, strict=True):
            part = self._operations.get((operation, start))
            if part is None:
                fields = {**operation.fields, "weight": operation.fields["weight"].detach()[:, start : start + count]}
                fields["bias"] = None if start else operation.fields["bias"]
                part = self._operations[operation, start] = replace(operation, fields=fields)
            one = self.terms.make(part, [argument])
            total = one if total is None else self.terms.make(ADD, [total, one])
            start += count
        assert total is not None
        return total

    @property
    def path(self) -> str:
        """The path of the module that runs."""
        return self._path[-1] if self._path else ""

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
        name = self.names.get(module, "")
        if not is_layer(module):
            self._path.append(name)
            try:
                return module._call_impl(*arguments, **options)
            finally:
                self._path.pop()
        holders = {**module._buffers, **vars(module).get("_memories", {})}
        states = {name: holders[name] for name in STATES if name in holders}
        self._inside += 1
        try:
            result = module._call_impl(*arguments, **options)
            kind = type(module).__name__
            call = Call(
                recorder=self,
                label=f"{name or 'the model'} ({kind})",
                name=name or kind.lower(),
                arguments=arguments,
                options=options,
                result=result,
                module=module,
                states=states,
            )
            self._handle(self.layers, call)
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
        call = Call(
            recorder=self,
            label=f"{self.path or 'the model'} (function {name})",
            name=".".join(filter(None, (self.path, name.strip("_")))),
            arguments=arguments,
            options=options,
            result=result,
            function=name,
            before=before,
        )
        self._handle(self.functions, call)
        return result

    def derive(self, call: Call, parameters: tuple[Tensor, ...] = ()) -> None:
        """Remember from which parameters a constant was computed."""
        parameters = (*parameters, *self.parameters([*call.arguments, *call.options.values()]))
        for tensor in tensors_in(call.result):
            if parameters:
                self._derived[id(tensor)] = (tensor, parameters)

    def known(self, values: Any) -> bool:
        """Whether any of the tensors was computed from the input."""
        return any(self.value(tensor) is not None for tensor in tensors_in(values))


def fingerprint(value: Any) -> Any:
    """A key that is equal for equal values."""
    if isinstance(value, nn.Parameter):
        return id(value)
    if isinstance(value, Tensor):
        array = value.detach().cpu().contiguous().numpy()
        return (array.shape, str(array.dtype), array.tobytes())
    return value
