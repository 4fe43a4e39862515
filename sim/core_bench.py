"""The cocotb test of a core: cocotbext-axi drives its ports. Runs inside the simulator."""

import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Lock, RisingEdge, SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from hw.ports.axi_stream import BAD_BIT
from sim.core_job import FOUND, JOB, Found, Job, Packet, Run, save_found

PERIOD_NS = 10
CONTROL_RESET, CONTROL_HOLD = 1, 2
STATUS_BUSY, STATUS_RESETTING, STATUS_CHECKING = 1, 2, 16
INTERRUPT_RESULT, INTERRUPT_ERROR = 1, 2
UNTIL_COUNTED = 500
"""Cycles until everything is seen in the counters."""
PACKETS_PER_RESET = 3
"""Packets that are offered at once before the core is reset in the middle of them."""


class WishboneMaster:
    """A Wishbone master with classic standard cycles and random pauses between them."""

    def __init__(self, dut: Any, choose: random.Random) -> None:
        self.dut, self.choose = dut, choose
        dut.s_wb_cyc.value = dut.s_wb_stb.value = 0

    async def access(self, address: int, value: int | None) -> tuple[int, bool]:
        """Read, or write ``value``; returns the word and whether the slave did not report an error."""
        dut = self.dut
        await ClockCycles(dut.aclk, self.choose.randrange(1, 4))
        dut.s_wb_adr.value, dut.s_wb_we.value, dut.s_wb_sel.value = address // 4, value is not None, 15
        dut.s_wb_dat_w.value = value or 0
        dut.s_wb_cyc.value = dut.s_wb_stb.value = 1
        while True:
            await RisingEdge(dut.aclk)
            if int(dut.s_wb_ack.value) or int(dut.s_wb_err.value):
                break
        word, fine = int(dut.s_wb_dat_r.value), bool(int(dut.s_wb_ack.value))
        dut.s_wb_cyc.value = dut.s_wb_stb.value = 0
        return word, fine


class AxiMaster:
    """cocotbext-axi's AXI4-Lite master with random pauses on every channel."""

    def __init__(self, dut: Any, choose: random.Random) -> None:
        bus = AxiLiteBus.from_prefix(dut, "s_axi")
        self.master = AxiLiteMaster(bus, dut.aclk, dut.aresetn, reset_active_level=False)
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(pauses(choose, 0.2))

    async def access(self, address: int, value: int | None) -> tuple[int, bool]:
        """Read, or write ``value``; returns the word and whether the slave did not report an error."""
        if value is None:
            answer = await self.master.read(address, 4)
            return int.from_bytes(answer.data, "little"), int(answer.resp) == 0
        return 0, int((await self.master.write(address, value.to_bytes(4, "little"))).resp) == 0


MASTERS: dict[str, Any] = {"axi": AxiMaster, "wishbone": WishboneMaster}


def pauses(choose: random.Random, share: float) -> Iterator[bool]:
    """Whether to pause, cycle by cycle."""
    while True:
        yield choose.random() < share


class Core:
    """The core with something at each of its ports."""

    def __init__(self, dut: Any, job: Job) -> None:
        self.dut, self.job, self.choose = dut, job, random.Random(job.seed)
        dut.aresetn.value = 0
        Clock(dut.aclk, PERIOD_NS, unit="ns", impl="gpi").start()
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, **reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, **reset)
        self.registers = None if job.control is None else MASTERS[job.control](dut, self.choose)
        self.found = Found(name="")
        self.cycles_per_packet = 0.0
        self.one_at_a_time, self.reading = Lock(), False
        self.word_bytes = len(dut.m_axis_tdata) // 8

    async def reset(self) -> None:
        """Pull the reset line for a few cycles, at any time."""
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 4)
        self.source.clear()
        self.sink.clear()
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    async def access(self, address: int, value: int | None = None) -> tuple[int, bool]:
        """An access to a register; the bus hangs if it takes too long."""
        assert self.registers is not None
        async with self.one_at_a_time:
            self.found.accesses += 1
            return await self.in_time(self.registers.access(address, value))

    async def read(self, name: str) -> int:
        """The value of the register ``name``."""
        word, fine = await self.access(self.job.registers[name])
        self.found.check(fine, f"reading {name} is refused")
        return word

    async def write(self, name: str, value: int) -> None:
        """Write the register ``name``."""
        _, fine = await self.access(self.job.registers[name], value)
        self.found.check(fine, f"writing {value} to {name} is refused")

    async def until(self, mask: int) -> None:
        """Wait until none of these bits of STATUS is set."""
        for _ in range(self.job.limit):
            if not await self.read("STATUS") & mask:
                return
        self.found.hangs += 1

    async def in_time(self, waiting: Any) -> Any:
        """The result of ``waiting``; raises SimTimeoutError if it takes longer than a result may."""
        return await with_timeout(waiting, self.job.limit * PERIOD_NS, "ns")

    def offer(self, packet: Packet) -> None:
        """Send a packet as soon as those before it are sent."""
        self.source.send_nowait(AxiStreamFrame(packet.sent))
        self.found.sent += 1

    def compare(self, frame: AxiStreamFrame, packet: Packet, number: int) -> None:
        """Compare an answer with the one that a packet must get."""
        self.found.answered += 1
        self.found.check(bytes(frame.tdata) == packet.answer, f"packet {number}: the answer is {frame.tdata.hex()}")
        self.found.check(self.marked(frame) == packet.bad, f"packet {number} has the wrong mark")

    def marked(self, frame: AxiStreamFrame) -> bool:
        """Whether a packet is marked; only its last word may be."""
        marks = [bool(mark) for mark in frame.tuser]
        words = [False] * (len(marks) - self.word_bytes) + [marks[-1]] * self.word_bytes
        self.found.check(marks == words, f"a packet has the marks {marks}")
        return marks[-1]

    async def answers(self, packets: list[Packet]) -> None:
        """Offer packets, and compare every answer."""
        for packet in packets:
            self.offer(packet)
        begin = get_sim_time("ns")
        for number, packet in enumerate(packets):
            self.compare(await self.in_time(self.sink.recv(compact=False)), packet, number)
        self.cycles_per_packet = self.cycles_per_packet or (get_sim_time("ns") - begin) / PERIOD_NS / len(packets)

    async def answers_with_resets(self, packets: list[Packet], resets: str) -> None:
        """Offer packets, a few at a time, and reset the core in the middle of them. Answers that come all the same must
        be those of packets that were offered, in order; one that a reset has cut off is complete, and marked."""
        for start in range(0, len(packets), PACKETS_PER_RESET):
            batch = packets[start : start + PACKETS_PER_RESET]
            for packet in batch:
                self.offer(packet)
            await ClockCycles(self.dut.aclk, self.choose.randrange(1, int(len(batch) * self.cycles_per_packet) + 2))
            self.found.resets += 1
            if resets == "line":
                await self.reset()
            else:
                await self.write("CONTROL", CONTROL_RESET)
                await self.in_time(self.source.wait())
                await self.until(STATUS_BUSY | STATUS_RESETTING)
            left = list(batch)
            while not self.sink.empty():
                frame = self.sink.recv_nowait(compact=False)
                answers = [packet.answer for packet in left]
                if bytes(frame.tdata) in answers:
                    place = answers.index(bytes(frame.tdata))
                    self.compare(frame, left[place], start + place)
                    left = left[place + 1 :]
                else:
                    self.check_cut(frame, len(batch[0].answer))
            await self.answers([batch[-1]])

    def check_cut(self, frame: AxiStreamFrame, length: int) -> None:
        """Check an answer that a reset has cut off: it has the usual length, class 0, and a mark."""
        fine = self.marked(frame) and len(frame.tdata) == length
        last = int.from_bytes(frame.tdata[-self.word_bytes :], "little")
        self.found.check(fine and last == 1 << BAD_BIT, f"an answer that was cut off is {frame.tdata.hex()}")

    async def read_constants(self) -> None:
        """Read registers that never change, again and again, while other things happen."""
        addresses = list(self.job.constants)
        self.reading = True
        while self.reading:
            address = self.choose.choice(addresses)
            word, fine = await self.access(address)
            self.found.check(fine and word == self.job.constants[address], f"register {address:#x} is {word:#x}")

    async def write_tables(self, tables: Any) -> None:
        """Write every table while the core holds, and compare the checksums of what the memories then hold."""
        _, fine = await self.access(self.job.registers["TABLE_DATA"], 0)
        self.found.check(not fine, "a table can be written while the core works")
        await self.write("CONTROL", CONTROL_HOLD)
        await self.until(STATUS_BUSY)
        for number, (words, checksum) in enumerate(tables):
            await self.write("TABLE_SELECT", number)
            for word in words:
                await self.write("TABLE_DATA", word)
            await self.write("TABLE_CHECK", 0)
            await self.until(STATUS_CHECKING)
            read = await self.read("TABLE_CHECK")
            self.found.check(read == checksum, f"table {number}: its checksum is {read:#x}, not {checksum:#x}")
        await self.write("CONTROL", 0)

    async def interrupts(self) -> None:
        """The interrupts that must wait after a run with bad packets, and the line that they raise."""
        self.found.check(not int(self.dut.irq.value), "irq is 1 though nothing is enabled")
        waiting = await self.read("IRQ_STATUS")
        for bit in (INTERRUPT_RESULT, INTERRUPT_ERROR):
            self.found.check(bool(waiting & bit), f"interrupt {bit} does not wait")
            await self.write("IRQ_ENABLE", bit)
            self.found.check(bool(int(self.dut.irq.value)), f"interrupt {bit} does not raise irq")
            await self.write("IRQ_STATUS", bit)
            self.found.check(not int(self.dut.irq.value), f"interrupt {bit} cannot be cleared")
        await self.write("IRQ_ENABLE", 0)

    async def finish(self, reader: Any) -> None:
        """Let :meth:`read_constants` finish its access and end."""
        self.reading = False
        if reader is not None:
            try:
                await reader
            except SimTimeoutError:
                self.found.hangs += 1

    async def run(self, run: Run) -> Found:
        """Do one run; after a hang the core is reset by its line."""
        self.found = Found(name=run.name)
        self.source.set_pause_generator(pauses(self.choose, run.pauses))
        self.sink.set_pause_generator(pauses(self.choose, run.pauses))
        reader = None
        try:
            if run.tables:
                await self.write_tables(run.tables)
            if self.registers is not None and run.resets != "line":
                reader = cocotb.start_soon(self.read_constants())
            if run.resets == "none":
                await self.answers(list(run.packets))
            else:
                await self.answers_with_resets(list(run.packets), run.resets)
            await self.finish(reader)
            await ClockCycles(self.dut.aclk, UNTIL_COUNTED)
            for name, value in run.counted.items():
                counted = await self.read(name)
                self.found.check(counted == value, f"{name} is {counted}, not {value}")
            if run.counted:
                await self.interrupts()
        except SimTimeoutError:
            self.found.hangs += 1
            await self.finish(reader)
            await self.reset()
        return self.found


@cocotb.test()
async def bench(testbench: Any) -> None:
    """Do all runs of the job, and write what they found."""
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    job = Job.load(Path(os.environ[JOB]))
    core = Core(testbench, job)
    await core.reset()
    save_found(Path(os.environ[FOUND]), [await core.run(run) for run in job.runs])
