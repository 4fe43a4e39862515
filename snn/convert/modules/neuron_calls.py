"""Calls of snnTorch's and SpikingJelly's neurons in a recorded run, and the nodes that neurons become."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from snn.convert.modules.neurons import CLASSES, SILENT, kind_of, known_neurons
from snn.convert.modules.terms import MismatchError, Origin, Port, Term, origins
from snn.convert.modules.torch_layers import layer_called, multi_step
from snn.convert.modules.trace import Call, Trace
from snn.convert.modules.values import Reduction, Traced, mark

STATES: dict[str, tuple[str, ...]] = {
    "Leaky": ("mem",),
    "Synaptic": ("syn", "mem"),
    "RLeaky": ("spk", "mem"),
    "RSynaptic": ("spk", "syn", "mem"),
    "QBLIFCell": ("mem",),
}
"""The states of neurons that follow snnTorch, in the order in which they take and return them."""
CONVENTIONS = {("snn", "QBLIFNode"): "spikingjelly", ("snn", "QBLIFCell"): "snntorch"}
"""The framework for which each node of :mod:`snn.nodes` is made."""
PORTS: dict[str, Port] = {"spk": "spikes", "syn": "current", "mem": "membrane", "v": "membrane"}


@dataclass(eq=False)
class Record:
    """What a neuron did in the run.

    Attributes:
        name: its path.
        inputs: what it got in each timestep, or once for all of them.
        sequence: whether it worked on whole sequences.
        timesteps: how many.
        shape: of its features.
    """

    name: str
    module: nn.Module
    inputs: list[Term] = field(default_factory=list)
    sequence: bool = False
    timesteps: int = 0
    shape: tuple[int, ...] = ()

    def input(self, trace: Trace) -> Term:
        """What it gets at every timestep; raises UserError if the timesteps differ."""
        if self.sequence:
            return self.inputs[0]
        try:
            return trace.terms.lifted(self.inputs)
        except MismatchError as error:
            raise UserError(
                f"{self.name} ({type(self.module).__name__}): {error}; let every "
                "timestep compute the same, and use each neuron at one place"
            ) from error


def framework(module: nn.Module) -> str:
    """Whose conventions a neuron follows: ``"snntorch"``, ``"spikingjelly"`` or those of another package."""
    kind = kind_of(module)
    return CONVENTIONS.get(kind, kind[0])


def is_neuron(module: nn.Module | None) -> bool:
    """Whether the module keeps a membrane."""
    packages = {kind.__module__ for kind in type(module).__mro__}
    return any(one.startswith(("snntorch", "spikingjelly.activation_based.neuron", "snn.nodes")) for one in packages)


def module_called(call: Call) -> None:
    """Record a call of a layer or a neuron."""
    if is_neuron(call.module):
        neuron_called(call)
    else:
        layer_called(call)


def neuron_called(call: Call) -> None:
    """Record a call of a neuron: its input, its states, and what it returns."""
    module, trace = call.module, call.trace
    assert module is not None
    if framework(module) not in ("snntorch", "spikingjelly"):
        raise call.refuse("is derived from a framework's neuron and might compute something else; take the original")
    if kind_of(module) not in CLASSES and type(module).__name__ not in SILENT:
        raise call.refuse(f"is not a neuron that can be converted; take one of {known_neurons(framework(module))}")
    record = trace.records.setdefault(module, Record(call.name, module))
    silent = type(module).__name__ in SILENT
    sequence = framework(module) == "spikingjelly" and (multi_step(module) or silent)
    tensor = call.argument(0, "input_", call.options.get("x", call.options.get("x_seq")))
    value = trace.read(call, tensor, tensor.dim() - 1)
    if value is None or value.reduction is not None:
        raise call.refuse("reads what is not a current of every timestep; let it read the input or a layer")
    ahead = 2 if sequence else 1
    if value.raw:
        value = trace.features(call, value, (len(value.lead) - ahead,))
    if len(value.lead) > ahead or (sequence and len(value.lead) < 2):
        way = "give it (T, N, ...)" if sequence else "call it once for each timestep"
        raise call.refuse(f"gets {len(value.lead)} axes in front of the features; {way}")
    if sequence:
        call.guarded(mark, value.lead[0], "time")
    if value.lead:
        call.guarded(mark, value.lead[-1], "batch")
    if record.inputs and (sequence or record.sequence or record.shape != value.shape):
        raise call.refuse("is used at two places, which would share one state; make a neuron for each")
    timed = any(origin.step is not None for origin in origins(value.term))
    if sequence and timed:
        raise call.refuse("works on sequences within a loop over timesteps; set its step_mode to 's'")
    step = len(record.inputs)
    check_states(call, record, step)
    record.inputs.append(value.term)
    record.sequence, record.shape = sequence, value.shape
    record.timesteps = value.lead[0][0].size if sequence else step + 1
    if silent:
        tag_membranes(call, record, value)
    else:
        tag_results(call, record, value, None if sequence else step)


def tag_membranes(call: Call, record: Record, value: Traced) -> None:
    """Say what a neuron that never fires returns: its membranes, or one value over time."""
    decode = getattr(record.module, "decode", None)
    reductions: dict[Any, Reduction] = {"max-mem": "max", "mean-mem": "mean"}
    terms, lead = call.trace.terms, value.lead[1:]
    if isinstance(call.result, list):
        for step, tensor in enumerate(call.result):
            origin = Origin(source=record, port="membrane", step=step)
            call.trace.tag(tensor, replace(value, term=terms.make(origin), lead=lead))
        return
    if decode == "last_mem":
        origin = Origin(source=record, port="membrane", step=record.timesteps - 1)
        call.trace.tag(call.result, replace(value, term=terms.make(origin), lead=lead))
        return
    if decode not in reductions:
        raise call.refuse(f"decode={decode!r} is not supported; take 'last_mem', 'mean-mem' or 'max-mem'")
    term = terms.make(Origin(source=record, port="membrane"))
    made = replace(value, term=term, lead=lead, reduction=reductions[decode], length=record.timesteps)
    call.trace.tag(call.result, made)


def check_states(call: Call, record: Record, step: int) -> None:
    """Raise UserError unless a neuron continues with the state that it had, or begins with none."""
    module: Any = record.module
    states = dict(call.states)
    for position, name in enumerate(STATES.get(type(module).__name__, ()), 1):
        given = call.argument(position, name)
        states[name] = states[name] if given is None else given
    for name, state in states.items():
        value = call.trace.value(state) if isinstance(state, Tensor) else None
        if step == 0:
            rest = getattr(module, "v_reset", None) or 0.0
            begins = state is None or bool((torch.as_tensor(state) == rest).all())
            if value is not None or not begins:
                raise call.refuse(f"begins with {name} that is not at rest; begin with zeros")
        elif not isinstance(value, Traced) or value.term.head != Origin(source=record, port=PORTS[name], step=step - 1):
            raise call.refuse(
                f"gets {name} at timestep {step + 1} that is not its own of the timestep before; pass each neuron its "
                "own states, and reset only before the first timestep"
            )


def tag_results(call: Call, record: Record, value: Traced, step: int | None) -> None:
    """Say what a neuron's results and states are."""
    module: Any = record.module
    trace = call.trace

    def port(name: str, at: int | None, lead: Any) -> Traced:
        origin = Origin(source=record, port=PORTS[name], step=at)
        return replace(value, term=trace.terms.make(origin), lead=lead)

    if framework(module) == "spikingjelly":
        trace.tag(call.result, port("spk", step, value.lead))
        last = record.timesteps - 1 if step is None else step
        if isinstance(module.v, Tensor):
            trace.tag(module.v, port("v", last, value.lead[-1:] if step is None else value.lead))
        if isinstance(getattr(module, "v_seq", None), Tensor) and step is None:
            trace.tag(module.v_seq, port("v", None, value.lead))
        return
    names = ("spk", *(name for name in STATES[type(module).__name__] if name != "spk"))
    results = call.result if isinstance(call.result, tuple) else (call.result,)
    for name, tensor in zip(names, results, strict=False):
        trace.tag(tensor, port(name, step, value.lead))
    for name in STATES[type(module).__name__]:
        trace.tag(getattr(module, name), port(name, step, value.lead))
