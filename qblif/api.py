"""A trained network as hardware, for notebooks and scripts::

    import qblif

    compiled = qblif.compile(model, samples, board="ulx3s_85f", timesteps=4)
    compiled.predict(samples)           # the classes that the FPGA will give
    compiled.trace(samples[:1])         # every burst and membrane, beside those of the float model
    compiled.simulate(samples[:20])     # cycles, and mismatches of the simulated hardware
    compiled.build("build/mine")        # the bitstream, as gen.build makes it

The commands ``snn.convert``, ``gen.plan``, ``sim.run`` and ``gen.build`` do the same with files.
"""

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gen.building import run_build
from gen.design import Design, make_design
from gen.planning.scope import Objective
from hw.plan import Plan
from hw.schedule import Schedule
from qblif import golden
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.network.graph import Network
from sim.inferences import FULL_SPEED, inferences_of, simulate
from sim.simulator import build_simulation
from snn import checkpoint
from snn.bursts import Bursts
from snn.convert.comparison import quantized
from snn.convert.model import Converted
from snn.convert.sources import from_modules, from_nir
from snn.layers import Layer, SpikingLayer
from snn.membranes import membranes
from snn.modes import in_mode
from snn.tracing import node_names, traced

Step = Literal["network", "rtl", "synth", "bitstream"]
"""The steps of a build."""
NEARLY = 1e-3
"""How far from a whole number a float sample times 255 may be, because floats are rounded."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerTrace:
    """One population over time.

    Attributes:
        bursts: int64 (count, T, C, H, W).
        membranes: float64, of that shape; in the units of the float model.
        float_bursts, float_membranes: those of the float model; None if there is none.
    """

    bursts: IntArray
    membranes: NDArray[np.float64]
    float_bursts: NDArray[np.float64] | None = None
    float_membranes: NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulated:
    """What the simulated hardware did.

    Attributes:
        classes: int64 (results,).
        mismatches: bursts, membranes, logits and classes that differ from the golden model's.
        cycles_mean: clock cycles from one result to the next; None for a single one.
    """

    classes: IntArray
    mismatches: int
    cycles_mean: float | None


class Compiled:
    """A network on a board; :func:`compile` makes one.

    Attributes:
        design: network, plan and configuration (:class:`gen.design.Design`).
        model: the snn model with integers; None if the network came from a file.
        floats: the same model in floats; None if there is none.
    """

    def __init__(self, design: Design, model: nn.Module | None = None, floats: nn.Module | None = None) -> None:
        self.design, self.model, self.floats = design, model, floats

    @property
    def network(self) -> Network:
        """The integer network."""
        return self.design.network

    @property
    def plan(self) -> Plan:
        """How the hardware is built."""
        return self.design.plan

    def predict(self, samples: Any) -> IntArray:
        """The classes of raw samples, int64 (count,), as the hardware gives them."""
        return self.logits(samples).argmax(axis=1)

    def logits(self, samples: Any) -> IntArray:
        """The logits of raw samples, int64 (count, classes), in units of the network's readout."""
        given, parts = as_bytes(samples), []
        at_once = golden.at_once(self.network)
        for start in range(0, len(given), at_once):
            parts.append(golden.run(self.network, encode(given[start : start + at_once], self.network.input)).logits)
        return torch.cat(parts).numpy()

    def trace(self, samples: Any) -> dict[str, LayerTrace]:
        """Bursts and membranes of every population, by its name; best for a few samples."""
        given = as_bytes(samples)
        known = golden.run(self.network, encode(given, self.network.input))
        traces = {}
        for population in self.network.populations:
            states = known.states[population.name][:, :, 0].double().numpy()
            traces[population.name] = LayerTrace(
                bursts=known.bursts[population.name].numpy(), membranes=states * 2.0**-population.fraction_bits
            )
        return traces if self.floats is None else with_floats(traces, self.floats, torch.from_numpy(given))

    def simulate(self, samples: Any, *, folder: Path = Path("build/sim")) -> Simulated:
        """Simulate the hardware with Verilator, and compare every beat with the golden model.

        Args:
            samples: raw samples.
            folder: where simulations are built and kept.

        Raises:
            UserError: there is no simulator.
            SimulationError: the simulated hardware stood still.
        """
        inferences = inferences_of(self.network, encode(as_bytes(samples), self.network.input))
        simulation = build_simulation(self.design.config, "verilator", folder, waves=False)
        runs = simulation.new_run_folder()
        found = simulate(self.design.config, simulation, inferences, FULL_SPEED, runs).comparison
        shutil.rmtree(runs, ignore_errors=True)
        gaps = np.diff(found.class_cycles)
        return Simulated(
            classes=found.classes,
            mismatches=found.mismatches,
            cycles_mean=float(gaps.mean()) if len(gaps) else None,
        )

    def build(self, out: str | Path, *, until: Step = "bitstream") -> dict[str, Any]:
        """Build the hardware as gen.build does; returns its report.

        Args:
            out: the folder to write.
            until: the last step.

        Raises:
            UserError: as :func:`gen.building.run_build`.
        """
        return run_build(self.design, Path(out).resolve(), until)


def compile(  # noqa: A001 - qblif.compile, as in re.compile
    model: Any,
    samples: Any = None,
    *,
    board: str,
    clock_mhz: float | None = None,
    target_fps: float | None = None,
    schedule: Schedule | None = None,
    objective: Objective | None = None,
    **conversion: Any,
) -> Compiled:
    """Turn a trained network into hardware for a board.

    Args:
        model: a checkpoint or network file; a model of snn layers; a module of snnTorch or SpikingJelly; a NIR graph.
        samples: raw samples, as the network takes them: unsigned bytes, or floats from 0 to 1 that stand for bytes.
            Some hundreds show the planner how busy the network is; the first 16 become reference vectors. Files need
            none.
        board: see ``python -m gen.build --list-boards``.
        clock_mhz, target_fps, schedule, objective: as in :func:`gen.design.make_design`.
        conversion: the options of :func:`snn.convert.sources.from_modules`, whose ``sample`` is by default the first of
            ``samples``, (1, C, H, W) from 0 to 1 or (T, 1, C, H, W) counts; or of
            :func:`snn.convert.sources.from_nir`.

    Raises:
        UserError: anything about these that the user can put right.
    """

    def design_of(file: Path) -> Design:
        return make_design(
            file, board, clock_mhz=clock_mhz, target_fps=target_fps, schedule=schedule, objective=objective
        )

    if isinstance(model, str | Path):
        if conversion:
            raise UserError(f"{model} holds a network; {', '.join(conversion)} cannot change it any more")
        return Compiled(design_of(Path(model)))
    if samples is None:
        raise UserError("samples are needed: they decide the integers, and become the reference vectors")
    given = torch.from_numpy(as_bytes(samples))
    floats = float_model(model, given, conversion)
    integers, before = floats, None
    if not all(layer.quantized for layer in floats.modules() if isinstance(layer, Layer)):
        integers, before = quantized(floats, given), floats
    content = checkpoint.describe(integers, given, torch.zeros(len(given), dtype=torch.long))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.pt"
        checkpoint.save_atomically(content, file)
        return Compiled(design_of(file), integers, before)


def float_model(model: Any, samples: Tensor, conversion: dict[str, Any]) -> nn.Module:
    """The model of snn layers that ``model`` is, or that it is converted to; raises UserError."""
    if isinstance(model, nn.Module) and any(isinstance(part, Layer) for part in model.modules()):
        if conversion:
            raise UserError(f"the model consists of snn layers; {', '.join(conversion)} cannot change them")
        return model
    if isinstance(model, nn.Module):
        sample = conversion.pop("sample", None)
        return from_modules(model, usual_sample(samples, conversion) if sample is None else sample, **conversion)
    if type(model).__name__ != "NIRGraph":
        raise UserError(f"a {type(model).__name__} is not a trained network; give a file, a module or a NIR graph")
    return from_nir(model, **conversion)


def usual_sample(samples: Tensor, conversion: dict[str, Any]) -> Tensor:
    """What a module takes for the first of the raw samples, (1, C, H, W), or (T, 1, C, H, W) of recordings."""
    first = samples[:1].float()
    if samples.dim() == 4 or conversion.get("coding") == "frames":
        first = first / 255
    return first.transpose(0, 1) if samples.dim() == 5 else first


def with_floats(traces: dict[str, LayerTrace], floats: nn.Module, samples: Tensor) -> dict[str, LayerTrace]:
    """Traces with those of a float model beside them, and all membranes in the units of its currents."""
    with in_mode(floats, training=False), torch.no_grad(), traced(floats, samples) as steps:
        floats(samples)
    names, potentials = node_names(floats), membranes(floats, samples)
    counts = {step.name: step.output.counts for step in steps if isinstance(step.output, Bursts)}
    found = {}
    for path, layer in floats.named_modules():
        if isinstance(layer, SpikingLayer):
            name = names[layer]
            shape, units = traces[name].bursts.shape, units_of(floats, path)
            found[name] = replace(
                traces[name],
                membranes=traces[name].membranes * units * float(layer.neuron.scale.detach()),
                float_bursts=counts[name].transpose(0, 1).double().numpy().reshape(shape),
                float_membranes=potentials[path].transpose(0, 1).double().numpy().reshape(shape) * units,
            )
    return found


def units_of(model: nn.Module, path: str) -> NDArray[np.float64]:
    """What the membranes of a float model are multiplied by: a converted one has them in thresholds; (C, 1, 1)."""
    if not isinstance(model, Converted):
        return np.ones((1, 1, 1))
    original = next(name for name, attribute in model.attributes.items() if attribute == path)
    return model.scales[original].double().numpy().reshape(-1, 1, 1)


def as_bytes(samples: Any) -> NDArray[np.uint8]:
    """Samples as unsigned bytes; floats from 0 to 1 stand for bytes divided by 255. Raises UserError for others."""
    values = samples.numpy(force=True) if isinstance(samples, Tensor) else np.asarray(samples)
    if values.dtype.kind == "f":
        scaled = values * 255
        whole = np.rint(scaled)
        if not (np.abs(scaled - whole) < NEARLY).all() or whole.min() < 0 or whole.max() > 255:
            raise UserError(
                "float samples are bytes divided by 255, so from 0 to 1; undo a normalisation, and tell the conversion "
                "mean and deviation"
            )
        values = whole
    elif values.dtype.kind not in "iu" or values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise UserError(f"samples are unsigned bytes, or floats from 0 to 1, not {values.dtype}")
    return values.astype(np.uint8)
