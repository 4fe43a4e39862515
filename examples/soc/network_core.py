"""The network's core as a LiteX module: registers on the Wishbone bus, samples and results through CSRs."""

from amaranth.hdl import Shape
from amaranth.lib.wiring import In
from litex.gen import LiteXModule
from litex.soc.interconnect import stream, wishbone
from litex.soc.interconnect.csr import CSRStatus, CSRStorage
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import Instance, Signal
from migen.fhdl.structure import ClockSignal, ResetSignal

from gen.emit.core import MODULE
from hw.ports.bus import WORD_BITS
from hw.ports.core import CoreConfig, core_ports

ASKED, ANSWERED = ("cyc", "stb", "we", "adr", "sel", "dat_w"), ("dat_r", "ack", "err")
"""Signals of Wishbone that the CPU and the core drive."""
Ports = dict[str, Signal]
"""The ports of a core, by name."""
WAITING_WORDS = 16
"""Words of samples that can wait between CPU and core."""


class SampleQueue(LiteXModule):
    """Words that the CPU writes become beats of samples; a beat has one or more words, the lowest first.

    Attributes:
        room: whether a word may be written.
        last: written before the last word of a sample, and after it.
        word: the next word of a sample.
    """

    def __init__(self, ports: Ports) -> None:
        self.room = CSRStatus(description="A word may be written.")
        self.last = CSRStorage(description="The next word is the last one of its sample.")
        self.word = CSRStorage(WORD_BITS, description="The next word of a sample.")
        words = -(-len(ports["s_axis_tdata"]) // WORD_BITS)
        self.queue = queue = stream.SyncFIFO([("data", WORD_BITS)], WAITING_WORDS, buffered=True)
        self.beats = beats = stream.Converter(WORD_BITS, words * WORD_BITS)
        self.comb += [
            self.room.status.eq(queue.sink.ready),
            queue.sink.valid.eq(self.word.re),
            queue.sink.data.eq(self.word.storage),
            queue.sink.last.eq(self.last.storage),
            queue.source.connect(beats.sink),
            ports["s_axis_tdata"].eq(beats.source.data),
            ports["s_axis_tlast"].eq(beats.source.last),
            ports["s_axis_tvalid"].eq(beats.source.valid),
            beats.source.ready.eq(ports["s_axis_tready"]),
        ]


class ResultQueue(LiteXModule):
    """Results wait as words until the CPU reads them; a word of the core has one or two, the lower first.

    Args:
        ports: the core's ports.
        count: words of a result of the core; so many can wait.

    Attributes:
        word: the next word of a result; reading it takes it. The whole result is there when the core raises its
            interrupt.
    """

    def __init__(self, ports: Ports, count: int) -> None:
        self.word = CSRStatus(WORD_BITS, description="The next word of a result; reading takes it.")
        bits = len(ports["m_axis_tdata"])
        self.words = words = stream.Converter(bits, WORD_BITS)
        self.queue = queue = stream.SyncFIFO([("data", WORD_BITS)], count * bits // WORD_BITS, buffered=True)
        self.comb += [
            words.sink.data.eq(ports["m_axis_tdata"]),
            words.sink.valid.eq(ports["m_axis_tvalid"]),
            ports["m_axis_tready"].eq(words.sink.ready),
            words.source.connect(queue.sink),
            self.word.status.eq(queue.source.data),
            queue.source.ready.eq(self.word.we),
        ]


class NetworkCore(LiteXModule):
    """A core with a Wishbone port for its registers, between two queues that the CPU fills and drains.

    Attributes:
        bus: the core's registers, as its C header describes them.
        samples, results: the queues.
        ev: the core's interrupt.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.bus = wishbone.Interface(data_width=WORD_BITS)
        self.ev = EventManager()
        self.ev.result = EventSourceLevel()
        self.ev.finalize()

        shapes = {name: (member.flow, Shape.cast(member.shape).width) for name, member in core_ports(config).items()}
        ports = {name: Signal(bits, name=name) for name, (_, bits) in shapes.items()}
        self.specials += Instance(
            MODULE, **{f"{'i' if shapes[name][0] == In else 'o'}_{name}": signal for name, signal in ports.items()}
        )
        self.comb += [
            ports["aclk"].eq(ClockSignal()),
            ports["aresetn"].eq(~ResetSignal()),
            *(ports[f"s_wb_{name}"].eq(getattr(self.bus, name)) for name in ASKED),
            *(getattr(self.bus, name).eq(ports[f"s_wb_{name}"]) for name in ANSWERED),
            self.ev.result.trigger.eq(ports["irq"]),
        ]
        self.samples = SampleQueue(ports)
        self.results = ResultQueue(ports, config.top.readout.classes + 1)
