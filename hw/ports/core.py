"""The network as a core inside somebody's design: packets in, packets out, registers."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockDomain, Const, DomainRenamer, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect

from hw.configuration import TopConfig
from hw.layouts import bursts_layout
from hw.link.results import ResultUnpacker, one_by_one
from hw.memory import Inventory, MemoryStyle
from hw.ports.axi_lite import AxiLite
from hw.ports.axi_stream import (
    MOST_IN_FLIGHT,
    AxiStreamSignature,
    ResultSender,
    SampleReceiver,
    result_bits,
    sample_bits,
)
from hw.ports.control import ControlRegisters
from hw.ports.registers import CoreIdentity, RegisterMap, Table, counters_of, register_map, tables_of
from hw.ports.tables import TableAccess
from hw.ports.wishbone import Wishbone
from hw.shell.activity import count_activity
from hw.shell.reset import reset_by
from hw.top import NetworkTop

CONTROL_PORTS: dict[str, type[AxiLite] | type[Wishbone]] = {"axi": AxiLite, "wishbone": Wishbone}
"""What can serve the registers, by the names of targets."""
NETWORK, REGISTERS = "network", "registers"
"""Submodules that have memories."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CoreConfig:
    """A core.

    Attributes:
        top: the network.
        identity: what the core says of itself.
        control: of :data:`CONTROL_PORTS`; None for a core without registers.
        patchable: whether the tables can be written.
        small_memory: memory style of the counters.
    """

    top: TopConfig
    identity: CoreIdentity
    control: str | None
    patchable: bool
    small_memory: MemoryStyle

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that a host can write."""
        return tables_of(network_memories(self.top)) if self.patchable else ()

    @property
    def result_bytes(self) -> int:
        """Bytes of a word of ``m_axis``."""
        return result_bits(self.top.readout.logit_bits) // 8

    @property
    def registers(self) -> RegisterMap | None:
        """The registers, if there are any."""
        return None if self.control is None else register_map(self.top, self.identity, self.tables)


def network_memories(top: TopConfig) -> Inventory:
    """The memories of the network, with their paths below its top level."""
    for stage in top.stages:
        yield from stage.memories()


class NetworkCore(wiring.Component):
    """A network between AXI4-Stream ports, with registers behind a control port.

    Every packet of samples gives one packet of results, in order, whatever its length; see
    :class:`hw.ports.axi_stream.SampleReceiver`. A reset by register drops what is in progress and completes the packets
    that have begun, so all ports keep their protocols' rules.

    There are two domains, as in :class:`hw.shell.device.NetworkDevice`: ``sync``, and ``network`` without a reset
    signal, which has the same clock.

    Ports:
        s_axis_*, m_axis_*: samples and results.
        s_axi_* or s_wb_*: registers.
        irq: see the register IRQ_ENABLE; high while an interrupt waits.
        aclk, aresetn: clock; reset, active low and synchronous.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(core_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, top = self.config, self.config.top
        receiver = SampleReceiver(bursts_layout(top.input.group, top.input.burst_bits), top.beats_per_result)
        sender = ResultSender(one_by_one(top.readout))
        m.domains.sync = sync = ClockDomain()
        m.domains.network = network_domain = ClockDomain(reset_less=True)
        # The same signal, not one driven by the other, so that both domains tick at the same instant in simulations.
        sync.clk = network_domain.clk = self.aclk
        m.d.comb += ResetSignal().eq(~self.aresetn)
        m.submodules.receiver, m.submodules.sender = receiver, sender
        self._export(m, "s_axis", receiver.port)
        self._export(m, "m_axis", sender.port)

        network = NetworkTop(top, taps=config.control is not None)
        tables = TableAccess(config.tables) if config.tables else None
        renamed = DomainRenamer("network")(network)
        m.submodules[NETWORK] = renamed if tables is None else tables.attach(renamed, "network", platform)
        asked = Signal()
        restart = Signal()
        marks = SyncFIFOBuffered(width=1, depth=MOST_IN_FLIGHT)
        m.submodules.marks = reset_by(restart)(marks)
        connect(m, receiver.bursts, network.bursts)
        if top.readout.classes_per_beat == 1:
            connect(m, network.results, sender.results)
        else:
            unpacker = ResultUnpacker(top.readout)
            m.submodules.unpacker = reset_by(restart)(unpacker)
            connect(m, network.results, unpacker.arriving)
            connect(m, unpacker.leaving, sender.results)
        m.d.comb += [
            marks.w_data.eq(receiver.marks.payload),
            marks.w_en.eq(receiver.marks.valid),
            receiver.marks.ready.eq(marks.w_rdy),
            sender.marks.payload.eq(marks.r_data),
            sender.marks.valid.eq(marks.r_rdy),
            marks.r_en.eq(sender.marks.ready),
            network.rst.eq(ResetSignal() | asked),
            restart.eq(asked | network.restarting),
            receiver.restart.eq(restart),
            sender.restart.eq(restart),
        ]
        if config.control is not None:
            holding = Signal()
            working = ~receiver.between | (marks.level != 0)
            registers = self._control(m, network, tables, asked, holding, working)
            m.d.comb += [
                receiver.hold.eq(holding),
                registers.resetting.eq(restart),
                registers.busy.eq(working | ~sender.idle),
                registers.short.eq(receiver.short),
                registers.long.eq(receiver.long),
                registers.finished.eq(sender.finished),
            ]
        return m

    def _export(self, m: Module, prefix: str, port: Any) -> None:
        """Connect the port of a component with the core's ports of the same names."""
        for name, member in outer_ports(self.config)[prefix].members.items():
            inside, outside = getattr(port, name), getattr(self, f"{prefix}_{name}")
            m.d.comb += inside.eq(outside) if member.flow == In else outside.eq(inside)

    def _control(
        self, m: Module, network: NetworkTop, tables: TableAccess | None, asked: Signal, holding: Signal, working: Value
    ) -> ControlRegisters:
        """Add the registers, which ask for a restart of the network, or to begin no further sample."""
        config = self.config
        assert config.registers is not None
        assert config.control is not None
        registers = ControlRegisters(config.registers, counters_of(config.top), config.small_memory, tables)
        kind = CONTROL_PORTS[config.control]
        m.submodules.control = control = kind(config.registers.address_bits)
        m.submodules[REGISTERS] = registers
        self._export(m, kind.prefix, control.port)
        if tables is not None:
            m.submodules.tables = tables
        connect(m, control.bus, registers.bus)
        checking = Const(0) if tables is None else tables.checking
        held = Signal()
        was_held = Signal()
        m.d.sync += [was_held.eq(held), asked.eq(registers.reset | (was_held & ~held))]
        m.d.comb += [
            # What was read or written in the meantime may be in registers of the network.
            held.eq(registers.hold | checking),
            holding.eq(held | was_held),
            self.irq.eq(registers.irq),
        ]
        results = network.results
        count_activity(
            m,
            network,
            registers.increments,
            counters_of(config.top),
            arriving=network.bursts,
            finished=results.valid & results.ready & results.payload.last,
            active=working,
            counted=Const(1),
        )
        return registers


def outer_ports(config: CoreConfig) -> dict[str, Any]:
    """The signatures of a core's buses as seen from outside, by the prefixes of their names."""
    beat_bits = config.top.input.group * config.top.input.burst_bits
    ports = {
        "s_axis": AxiStreamSignature(sample_bits(beat_bits)).flip(),
        "m_axis": AxiStreamSignature(8 * config.result_bytes, user_bits=1),
    }
    if config.control is not None and config.registers is not None:
        kind = CONTROL_PORTS[config.control]
        ports[kind.prefix] = kind.outside(config.registers.address_bits).flip()
    return ports


def core_ports(config: CoreConfig) -> dict[str, wiring.Member]:
    """The ports of a core."""
    ports = {"aclk": In(1), "aresetn": In(1)}
    for prefix, signature in outer_ports(config).items():
        ports |= {f"{prefix}_{name}": member for name, member in signature.members.items()}
    return ports if config.control is None else {**ports, "irq": Out(1)}
