"""The host link: from the serial line to the network and back."""

from amaranth.hdl import DomainRenamer, Elaboratable, Module
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.configuration import TopConfig
from hw.layouts import bursts_layout
from hw.link.answers import Answerer, FrameSealer, identity_memory
from hw.link.cobs import CobsDecoder, CobsEncoder, block_memory, decoded_layout, framed_layout
from hw.link.configuration import LinkConfig
from hw.link.receiver import FrameReceiver, ring_memory
from hw.link.requests import BeatUnpacker, RequestReader
from hw.link.results import ResultUnpacker, one_by_one
from hw.link.steps import ResultStore, StepCounter, stored_memory
from hw.link.uart import UartReceiver, UartTransmitter
from hw.memory import Inventory, inventory, under
from hw.shell.reset import reset_by
from hw.stages.readout_unit import ReadoutConfig, result_layout
from hw.stream_register import StreamRegister

JOBS = 16
RECEIVER, ANSWERER, ENCODER, STORE = "receiver", "answerer", "encoder", "store"
"""Submodules that have memories."""


def link_memories(
    buffer_bytes: int, stored: ReadoutConfig | None, identity_bytes: int, identity: bytes = b""
) -> Inventory:
    """The memories of a :class:`HostLink` except its queue of jobs, which is a part of Amaranth.

    Args:
        buffer_bytes: size of the ring of requests.
        stored: the readout whose last result is stored; None where requests carry whole samples.
        identity_bytes: size of the device's identity.
        identity: the identity, if it is known.
    """
    yield from under(RECEIVER, inventory(ring_memory(buffer_bytes)))
    yield from under(ANSWERER, inventory(identity_memory(identity_bytes, identity)))
    yield from under(ENCODER, inventory(block_memory()))
    if stored is not None:
        yield from under(STORE, inventory(stored_memory(stored)))


class HostLink(wiring.Component):
    """Serves the requests of :mod:`qblif.protocol`.

    ::

        receive line -> CobsDecoder -> FrameReceiver -> RequestReader -> BeatUnpacker -> bursts
                                                             | jobs
        transmit line <- CobsEncoder <- FrameSealer <- Answerer <- results

    Where requests carry single timesteps, a StepCounter tells the reader which one is next, and the results pass
    through a ResultStore. Results with several classes per beat pass through a ResultUnpacker.

    Everything that a ``RESET`` restarts, including the network, is in the domain ``network``. The rest, the serial line
    and the receiver of frames, is in ``sync``. Both have the same clock; ``network`` has no reset signal.

    Ports:
        receive, transmit: the serial lines.
        bursts, results: to and from the network.
        counter, turn: as in :class:`hw.link.answers.Answerer`.
        restart: 1 for one cycle to restart the network.
        restarted: a host has restarted the network since power-on.
        restarting: a restart is in progress; 1 from the cycle after ``restart``.
        reset: resets the link's components in the domain ``network``.
    """

    def __init__(self, config: LinkConfig, top: TopConfig) -> None:
        self.config, self.top = config, top
        super().__init__(
            {
                "receive": In(1, init=1),
                "transmit": Out(1, init=1),
                "bursts": Out(stream.Signature(bursts_layout(top.input.group, top.input.burst_bits))),
                "results": In(stream.Signature(result_layout(top.readout))),
                "counter": In(8),
                "turn": Out(1),
                "restart": Out(1),
                "restarted": Out(1),
                "restarting": In(1),
                "reset": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config

        def resettable(component: Elaboratable) -> Elaboratable:
            return DomainRenamer("network")(reset_by(self.reset)(component))

        m.submodules.uart_receiver = uart_receiver = UartReceiver(config.divisor)
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules[RECEIVER] = receiver = FrameReceiver(config)
        connect(m, uart_receiver.leaving, decoder.arriving)
        m.submodules.decoded = decoded = StreamRegister(decoded_layout())
        connect(m, decoder.leaving, decoded.arriving)
        connect(m, decoded.leaving, receiver.decoded)

        reader, unpacker = RequestReader(config), BeatUnpacker(self.top.input)
        jobs = SyncFIFOBuffered(width=16, depth=JOBS)
        answerer, answers = Answerer(config, one_by_one(self.top.readout)), StreamRegister(framed_layout())
        sealer, sealed = FrameSealer(), StreamRegister(framed_layout())
        encoder, uart_transmitter = CobsEncoder(), UartTransmitter(config.divisor)
        m.submodules.reader = resettable(reader)
        m.submodules.unpacker = resettable(unpacker)
        m.submodules.jobs = resettable(jobs)
        m.submodules[ANSWERER] = resettable(answerer)
        m.submodules.answers = resettable(answers)
        m.submodules.sealer = resettable(sealer)
        m.submodules.sealed = resettable(sealed)
        m.submodules[ENCODER] = resettable(encoder)
        m.submodules.uart_transmitter = uart_transmitter
        connect(m, receiver.records, reader.records)
        connect(m, reader.bursts, unpacker.arriving)
        connect(m, unpacker.bursts, flipped(self.bursts))
        connect(m, answerer.leaving, answers.arriving)
        connect(m, answers.leaving, sealer.arriving)
        connect(m, sealer.leaving, sealed.arriving)
        connect(m, sealed.leaving, encoder.arriving)
        connect(m, encoder.leaving, uart_transmitter.arriving)
        m.d.comb += [
            jobs.w_data.eq(reader.jobs.payload.as_value()),
            jobs.w_en.eq(reader.jobs.valid),
            reader.jobs.ready.eq(jobs.w_rdy),
            answerer.jobs.payload.eq(jobs.r_data),
            answerer.jobs.valid.eq(jobs.r_rdy),
            jobs.r_en.eq(answerer.jobs.ready),
            reader.idle.eq(jobs.level == 0),
            uart_receiver.line.eq(self.receive),
            self.transmit.eq(uart_transmitter.line),
            answerer.counter.eq(self.counter),
            self.turn.eq(answerer.turn),
            self.restart.eq(receiver.restart),
            receiver.restarting.eq(self.restarting),
        ]
        with m.If(receiver.restart):
            m.d.sync += self.restarted.eq(1)
        if not config.steps:
            results = StreamRegister(result_layout(self.top.readout))
            m.submodules.results = resettable(results)
            connect(m, flipped(self.results), results.arriving)
            if self.top.readout.classes_per_beat == 1:
                connect(m, results.leaving, answerer.results)
                return m
            unpacked = ResultUnpacker(self.top.readout)
            m.submodules.unpacked_results = resettable(unpacked)
            connect(m, results.leaving, unpacked.arriving)
            connect(m, unpacked.leaving, answerer.results)
            return m
        steps, store = StepCounter(config.identity.requests_per_result), ResultStore(self.top.readout)
        m.submodules.steps = resettable(steps)
        m.submodules[STORE] = resettable(store)
        connect(m, flipped(self.results), store.results)
        connect(m, store.stored, answerer.results)
        m.d.comb += [
            steps.numbered.eq(self.restarted),
            steps.number.eq(reader.number),
            steps.execute.eq(reader.execute),
            reader.is_next.eq(steps.is_next),
            reader.is_last.eq(steps.is_last),
            store.forget.eq(reader.execute),
            answerer.completes.eq(steps.completes),
            answerer.next_step.eq(steps.next),
        ]
        return m
