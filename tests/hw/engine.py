"""An engine for Amaranth's simulator that runs what has something to do, several times as fast as Amaranth's own.

Amaranth's engine asks every process of the design, in every delta cycle, whether it should run, and runs every clocked
process at every edge. This one keeps the processes that are due in a set, and lets a clocked process sleep until
something that it reads or writes has changed, since until then it would only write the same values again. The processes
themselves and the two phases of a delta cycle are Amaranth's. ``tests/hw/test_engine.py`` compares the two engines.
"""

from typing import Any

from amaranth.hdl import Signal, Value
from amaranth.hdl._ast import SignalSet
from amaranth.hdl._mem import MemoryInstance
from amaranth.sim._pyrtl import PyRTLProcess, _FragmentCompiler
from amaranth.sim.pysim import PySimEngine, _PyEngineState, _PyMemoryState, _PySignalState


class _State(_PyEngineState):
    """The values, and the processes that wait for them.

    Attributes:
        due: processes that run in the next delta cycle.
        awake: clocked processes that run at the next edge of their clock.
        edges: all clocked processes, by the slot of their clock and the value it changes to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.due: set[PyRTLProcess] = set()
        self.awake: set[PyRTLProcess] = set()
        self.edges: dict[tuple[int, int], set[PyRTLProcess]] = {}

    def get_signal(self, signal: Signal) -> int:
        try:
            return self.signals[signal]
        except KeyError:
            self.slots.append(_SignalState(signal, self))
            index = self.signals[signal] = len(self.slots) - 1
            return index

    def get_memory(self, memory: Any) -> int:
        if memory not in self.memories:
            self.slots.append(_MemoryState(memory, self))
            self.memories[memory] = len(self.slots) - 1
        return self.memories[memory]

    def add_signal_waker(self, signal: Signal, waker: Any) -> None:
        """Note the process that Amaranth's ``waker`` would mark, or add a waker that belongs to a trigger."""
        names = closure(waker)
        slot = self.get_signal(signal)
        if "process" not in names:
            self.slots[slot].add_waker(waker)
        elif "polarity" not in names:
            self.slots[slot].readers.append(names["process"])
        else:
            edge = slot, names["polarity"]
            if edge not in self.edges:
                self.edges[edge] = set()
                self.slots[slot].add_waker(self.edge_waker(*edge))
            self.edges[edge].add(names["process"])

    def add_memory_waker(self, memory: Any, waker: Any) -> None:
        self.slots[self.get_memory(memory)].readers.append(closure(waker)["process"])

    def edge_waker(self, slot: int, polarity: int) -> Any:
        """What makes the clocked processes that are awake run when the signal in ``slot`` becomes ``polarity``."""

        def waker(_: int, following: int) -> bool:
            if following == polarity:
                self.due |= self.awake & self.edges[slot, polarity]
            return True

        return waker


def closure(function: Any) -> dict[str, Any]:
    """The variables around a function that it uses, by name."""
    cells = function.__closure__ or ()
    return dict(zip(function.__code__.co_freevars, (cell.cell_contents for cell in cells), strict=True))


class _SignalState(_PySignalState):
    """A signal, with the combinational processes that read it and the clocked ones that read or write it."""

    __slots__ = ("awake", "clocked", "due", "readers")

    def __init__(self, signal: Signal, state: _State) -> None:
        super().__init__(signal, state.pending)
        self.due, self.awake = state.due, state.awake
        self.readers: list[PyRTLProcess] = []
        self.clocked: list[PyRTLProcess] = []

    def update(self, value: int, mask: int = ~0) -> None:
        if value != self.next:
            super().update(value, mask)

    def commit(self) -> bool:
        if not super().commit():
            return False
        self.due.update(self.readers)
        self.awake.update(self.clocked)
        return True


class _MemoryState(_PyMemoryState):
    """A memory, with the processes of its ports."""

    __slots__ = ("awake", "clocked", "due", "readers")

    def __init__(self, memory: Any, state: _State) -> None:
        super().__init__(memory, state.pending)
        self.due, self.awake = state.due, state.awake
        self.readers: list[PyRTLProcess] = []
        self.clocked: list[PyRTLProcess] = []

    def commit(self) -> bool:
        self.due.update(self.readers)
        self.awake.update(self.clocked)
        return super().commit()


class _Compiler(_FragmentCompiler):
    """Amaranth's, which also notes what the clocked processes of every fragment depend on."""

    def __init__(self, state: _State) -> None:
        super().__init__(state)
        self.known: set[PyRTLProcess] = set()

    def __call__(self, fragment: Any) -> set[PyRTLProcess]:
        found: set[PyRTLProcess] = super().__call__(fragment)
        clocked = [process for process in found - self.known if not process.is_comb]
        self.known |= found
        if clocked:
            slots = {self.state.get_signal(signal) for signal in concerned(fragment)}
            if isinstance(fragment, MemoryInstance):
                slots.add(self.state.get_memory(fragment._data))
            for slot in slots:
                self.state.slots[slot].clocked.extend(clocked)
        return found


def concerned(fragment: Any) -> SignalSet:
    """All signals on which the clocked processes of a fragment depend, and those that they write."""
    signals = SignalSet()
    for name, statements in fragment.statements.items():
        if name != "comb":
            signals.update(statements._rhs_signals())
            signals.update(statements._lhs_signals())
    signals.update(domain.rst for domain in fragment.domains.values() if domain.rst is not None)
    if isinstance(fragment, MemoryInstance):
        for port in (*fragment._read_ports, *fragment._write_ports):
            for value in (port._addr, port._data, port._en):
                signals.update(value._rhs_signals())
    return signals


class Engine(PySimEngine):
    """For ``Simulator(dut, engine=Engine)``. It neither writes waveforms nor resets: a run begins with a simulator."""

    def __init__(self, design: Any) -> None:
        self._design = design
        self._state: _State = _State()
        compiled = _Compiler(self._state)(design.fragment)
        # What is left to ask in every delta cycle: clocks and asynchronous processes.
        self._processes: set[Any] = set()
        self._testbenches: list[Any] = []
        self._delta_cycles = 0
        self._vcd_writers: list[Any] = []
        self._active_triggers: set[Any] = set()
        self._state.due.update(process for process in compiled if process.is_comb)
        self._state.awake.update(process for process in compiled if not process.is_comb)
        self._places: dict[int, tuple[Value, _SignalState]] = {}

    def get_value(self, expr: Any) -> int:
        # A signal is read again and again: by its identity, which is faster than Amaranth's key of a signal.
        place = self._places.get(id(expr))
        if place is not None:
            return place[1].curr
        if type(expr) is Signal:
            self._places[id(expr)] = expr, self._state.slots[self._state.get_signal(expr)]
        return super().get_value(expr)

    def step_design(self) -> None:
        state, due, pending = self._state, self._state.due, self._state.pending
        assert not self._vcd_writers, "Amaranth's own engine writes waveforms"
        converged = False
        while not converged:
            for trigger in self._active_triggers:
                trigger.run()
            self._active_triggers.clear()
            for process in self._processes:
                if process.runnable:
                    process.runnable = False
                    process.run()
            state.awake -= due
            for process in due:
                process.run()
            due.clear()
            converged = True
            for changed in pending:
                if changed.commit():
                    converged = False
            pending.clear()
            self._delta_cycles += 1

    def reset(self) -> None:
        raise NotImplementedError("make another simulator")
