"""The queues between CPU and core: words become beats, results become words, whatever their widths."""

import random

import pytest

pytest.importorskip("litex", reason="pip install 'qblif[soc]'")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize(("beat_bits", "words"), [(8, 1), (32, 1), (56, 2), (112, 4)])
def test_samples(beat_bits, words):
    from migen import Signal, run_simulation

    from examples.soc.network_core import SampleQueue

    bits = {"tdata": beat_bits, "tlast": 1, "tvalid": 1, "tready": 1}
    ports = {f"s_axis_{name}": Signal(width) for name, width in bits.items()}
    queue, generator = SampleQueue(ports), random.Random(beat_bits)
    packets = [[generator.getrandbits(beat_bits) for _ in range(length)] for length in (1, 7, 30)]
    taken: list[tuple[int, int]] = []

    def cpu():
        for packet in packets:
            for place, beat in enumerate(packet):
                for word in range(words):
                    last = place == len(packet) - 1 and word == words - 1
                    yield from queue.last.write(int(last))
                    while not (yield queue.room.status):
                        yield
                    yield from queue.word.write(beat >> 32 * word & 0xFFFFFFFF)
                    # The queue sees the word in the next cycle.
                    yield
                    yield

    def core():
        ready = 0
        while len(taken) < sum(map(len, packets)):
            if ready and (yield ports["s_axis_tvalid"]):
                taken.append(((yield ports["s_axis_tdata"]), (yield ports["s_axis_tlast"])))
            ready = int(generator.random() < 0.1)
            yield ports["s_axis_tready"].eq(ready)
            yield

    run_simulation(queue, [cpu(), core()])
    assert taken == [(beat, int(place == len(packet) - 1)) for packet in packets for place, beat in enumerate(packet)]


@pytest.mark.parametrize("bits", [32, 64])
def test_results(bits):
    from migen import Signal, run_simulation

    from examples.soc.network_core import ResultQueue

    ports = {f"m_axis_{name}": Signal(width) for name, width in {"tdata": bits, "tvalid": 1, "tready": 1}.items()}
    count, generator = 11, random.Random(bits)
    queue = ResultQueue(ports, count)
    results = [[generator.getrandbits(bits) for _ in range(count)] for _ in range(3)]
    read: list[list[int]] = []
    sent = 0

    def core():
        nonlocal sent
        for result in results:
            for word in result:
                yield ports["m_axis_tdata"].eq(word)
                yield ports["m_axis_tvalid"].eq(1)
                yield
                while not (yield ports["m_axis_tready"]):
                    yield
            yield ports["m_axis_tvalid"].eq(0)
            sent += 1
            while len(read) < sent:
                yield

    def cpu():
        for number in range(len(results)):
            while sent <= number:
                yield
            yield
            words = []
            for _ in range(count * bits // 32):
                yield queue.word.we.eq(1)
                yield
                words.append((yield queue.word.status))
                yield queue.word.we.eq(0)
                yield
            read.append(
                [
                    sum(words[at + half] << 32 * half for half in range(bits // 32))
                    for at in range(0, len(words), bits // 32)
                ]
            )

    run_simulation(queue, [core(), cpu()])
    assert read == results
