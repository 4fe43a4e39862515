"""A whole device in Amaranth's simulator, at the other end of its serial lines."""

import numpy as np
from amaranth.hdl import ClockDomain, Module

from boards.catalogue import find_board
from gen.emit.board_top import link_config
from hw.configure import configure
from hw.shell.device import NetworkDevice
from hw.shell.selftest import SelfTestVectors
from qblif.network.coding import encode
from qblif.payloads import pack_samples
from qblif.protocol import Command
from qblif.streams import beat_words, stream_beats
from tests.hw.link.line import answers, frame, receive, send
from tests.hw.streams import run
from tests.reference import scalar_run

DIVISOR = 4
QUIET = -1
SHA256 = "0123456789abcdef" * 4


class Bench:
    """A device and what its self-test replays: one sample with the right logits, unless it has no self-test."""

    def __init__(self, network, plan, self_test_wrong=False, self_test=True):
        self.network, self.config = network, configure(network, plan)
        board = find_board("ulx3s_12f")
        link = link_config(board, 12.0, network, self.config, SHA256)
        assert link is not None
        self.link = link
        assert self.link.divisor == DIVISOR
        vectors = SelfTestVectors(beats=[], logits=[])
        if self_test:
            bursts = encode(self.samples(1, seed=99), network.input)
            beats = stream_beats(self.config.framed(bursts), self.config.input)
            results = scalar_run(network, bursts[0]).results
            kept = results if network.mode == "stream" else results[-1:]
            vectors = SelfTestVectors(
                beats=beat_words(beats, self.config.input.burst_bits),
                logits=[logit + self_test_wrong for result in kept for logit in result],
            )
        self.device = NetworkDevice(self.config, vectors, self.link, clock_hz=8000)
        self.line = bytearray()

    @property
    def identity(self):
        return self.link.identity

    @property
    def taps(self):
        """1 when a beat enters the network, and when the last logit of a result leaves it."""
        network = self.device.network
        bursts, results = network.bursts, network.results
        return bursts.valid & bursts.ready, results.valid & results.ready & results.payload.last

    def clocked(self):
        """The device with its two domains, as on a board."""
        module = Module()
        module.domains.sync = sync = ClockDomain()
        module.domains.network = network = ClockDomain(reset_less=True)
        network.clk = sync.clk
        module.submodules.device = self.device
        return module

    def samples(self, count, seed, steps=None):
        generator, spec = np.random.default_rng(seed), self.network.input
        if spec.coding == "direct":
            return generator.integers(0, 256, (count, *spec.shape), dtype=np.uint8)
        shape = (count, self.network.timesteps if steps is None else steps, *spec.shape)
        if spec.coding == "frames":
            return generator.integers(0, 256, shape, dtype=np.uint8)
        return generator.integers(0, 4, shape)

    def expected(self, samples):
        return [list(scalar_run(self.network, bursts).logits) for bursts in encode(samples, self.network.input)]

    def results(self, samples):
        """The result after every timestep of every sample."""
        return [scalar_run(self.network, bursts).results for bursts in encode(samples, self.network.input)]

    def requests(self, samples, first_id):
        data = pack_samples(samples, self.identity)
        return b"".join(frame(Command.INFER, (first_id + index) % 256, one) for index, one in enumerate(data))

    def talk(self, *parts, cycles=60_000, background=()):
        """Send each part, then wait for as many answers as it says, or until the line is QUIET; returns all answers."""

        async def host(ctx):
            wanted = 0
            for data, count in parts:
                await send(ctx, self.device.receive, data, DIVISOR)
                heard = -1
                while count == QUIET and heard != len(self.line):
                    heard = len(self.line)
                    await ctx.tick().repeat(1500)
                wanted = len(answers(bytes(self.line))) if count == QUIET else wanted + count
                while len(answers(bytes(self.line))) < wanted:
                    await ctx.tick().repeat(50)

        async def listen(ctx):
            await receive(ctx, self.device.transmit, DIVISOR, self.line)

        run(self.clocked(), host, background=[listen, *background], cycles=cycles)
        return answers(bytes(self.line))
