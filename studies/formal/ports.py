"""Proofs about the ports of a core: the handshake rules of AXI and Wishbone, and what becomes of a packet.

The rules are those of AMBA AXI (ARM IHI 0022, A3.2 and B1) and AXI4-Stream (IHI 0051, 2.2), and Wishbone B4 (3.1, 3.2).
A manager may do whatever its own rules allow: pause, wait for ever, or answer at once.
"""

from typing import Any

from amaranth.hdl import Cat, Mux, Signal, Value

from hw.layouts import bursts_layout
from hw.ports.axi_lite import AxiLite
from hw.ports.axi_stream import BAD_BIT, ResultSender, SampleReceiver
from hw.ports.counters import CounterBank
from hw.ports.wishbone import Wishbone
from studies.formal.components import CONFIG
from studies.formal.proof import Proof, Statement

ADDRESS_BITS = 3
IDLE, ACCESS, ANSWER = range(3)
"""States of an AXI4-Lite slave."""
BEATS = 2
CLASSES = CONFIG.readout.classes


def outstanding(s: Statement, begins: Value, ends: Value) -> Signal:
    """How many of what has begun have not ended, before this cycle."""
    number = Signal(2, name="outstanding")
    s.module.d.sync += number.eq(number + begins - ends)
    return number


def axi_lite(s: Statement) -> tuple[Any, dict[str, Signal]]:
    """An AXI4-Lite slave, with any manager that keeps the rules and registers that answer at any time."""
    component = AxiLite(ADDRESS_BITS)
    inside = s.add(component)
    port, bus = component.port, component.bus
    s.free(port.awaddr, port.awprot, port.awvalid, port.wdata, port.wstrb, port.wvalid, port.bready)
    s.free(port.araddr, port.arprot, port.arvalid, port.rready, bus.done, bus.read_data, bus.refused)
    s.assume(s.unchanged(port.awvalid, port.awready, port.awaddr))
    s.assume(s.unchanged(port.wvalid, port.wready, port.wdata, port.wstrb))
    s.assume(s.unchanged(port.arvalid, port.arready, port.araddr))
    # The registers answer what they are asked, and not in the cycle in which they are asked.
    s.assume(~bus.done | (bus.request & s.kept(bus.request, 1)))
    return component, inside


def lite_states(s: Statement, port: Any, state: Value) -> None:
    """What an induction needs to know: an answer is offered in the state that is for it, and nowhere else."""
    s.claim(state <= ANSWER)
    s.claim(port.bvalid + port.rvalid == (state == ANSWER))


def lite_stable(s: Statement) -> None:
    """Answers stay until they are taken."""
    component, inside = axi_lite(s)
    port = component.port
    lite_states(s, port, inside["state_state"])
    s.claim(s.unchanged(port.bvalid, port.bready, port.bresp))
    s.claim(s.unchanged(port.rvalid, port.rready, port.rdata, port.rresp))
    s.witness(s.kept(port.bvalid & ~port.bready, 1) & port.bvalid & port.bready)
    s.witness(s.kept(port.rvalid & ~port.rready, 1) & port.rvalid & port.rready)


def lite_answers(s: Statement) -> None:
    """One answer for each request, of its kind; a write's address and data are taken together."""
    component, inside = axi_lite(s)
    port, state = component.port, inside["state_state"]
    writes = outstanding(s, port.awvalid & port.awready, port.bvalid & port.bready)
    reads = outstanding(s, port.arvalid & port.arready, port.rvalid & port.rready)
    s.claim(port.awready == port.wready)
    s.claim(~port.awready | (port.awvalid & port.wvalid))
    s.claim(~port.arready | port.arvalid)
    s.claim(~port.bvalid | (writes == 1))
    s.claim(~port.rvalid | (reads == 1))
    s.claim(writes + reads <= 1)
    # What an induction needs to know: in which state what is outstanding.
    lite_states(s, port, state)
    idle, access, asked = state == IDLE, state == ACCESS, port.awready | port.arready
    s.claim(~idle | (~asked & (writes == 0) & (reads == 0)))
    s.claim(~access | (writes + reads + asked == 1))
    s.claim(~access | (Mux(component.bus.write, writes + port.awready, reads + port.arready) == 1))
    s.claim(~(port.awready & port.arready))
    s.claim(~asked | (access & ~s.kept(access, 1)))
    s.witness((writes == 0) & (s.count(port.bvalid & port.bready) == 2) & (s.count(port.rvalid & port.rready) == 1))


def lite_access(s: Statement) -> None:
    """The registers see what the manager asked, and the manager what they answer."""
    component, _ = axi_lite(s)
    port, bus = component.port, component.bus
    wrote, read = port.awvalid & port.awready, port.arvalid & port.arready
    asked = s.kept(Cat(port.wdata, port.wstrb.all(), port.awaddr[2:], wrote), wrote | read)
    address = s.kept(port.araddr[2:], read)
    done = s.kept(bus.done, 1)
    s.claim(~(bus.done & bus.write) | (Cat(bus.data, bus.whole, bus.address, bus.write) == asked))
    s.claim(~(bus.done & ~bus.write) | (bus.address == address))
    s.claim(~done | (port.rvalid ^ port.bvalid))
    s.claim(~(done & port.rvalid) | (port.rdata == s.kept(bus.read_data, 1)))
    s.claim(~done | (port.bresp == Mux(s.kept(bus.refused, 1), 2, 0)))
    s.claim(~done | (port.rresp == Mux(s.kept(bus.refused, 1), 2, 0)))
    s.witness(done & port.rvalid & (s.count(bus.done) == 2))


def lite_serves(s: Statement) -> None:
    """A write that waits while the registers and the manager never pause is taken soon, and so is a read."""
    component, _ = axi_lite(s)
    port, bus = component.port, component.bus
    s.assume(port.bready & port.rready & (bus.done == (bus.request & s.kept(bus.request, 1))))
    for waits in (port.awvalid & port.wvalid & ~port.awready, port.arvalid & ~port.arready):
        s.claim(~s.longer(waits, LONGEST_WAIT))
        s.witness(s.kept(waits, 1) & ~waits)


LONGEST_WAIT = 9
"""Cycles that an access waits at most: one of the same kind and one of the other may come before it."""


def wishbone_answers(s: Statement) -> None:
    """One answer for each cycle that a master begins and holds, either ``ack`` or ``err``."""
    component = Wishbone(ADDRESS_BITS)
    s.add(component)
    port, bus = component.port, component.bus
    s.free(port.cyc, port.stb, port.we, port.adr, port.sel, port.dat_w, bus.done, bus.read_data, bus.refused)
    selected, answered = port.cyc & port.stb, port.ack | port.err
    s.assume(s.unchanged(selected, answered, port.we, port.adr, port.sel, port.dat_w))
    s.assume(bus.done == (bus.request & s.kept(bus.request, 1)))
    s.claim(~(port.ack & port.err))
    s.claim(~answered | selected)
    s.claim(~s.kept(answered, 1) | ~answered)
    s.claim(~answered | (port.err == s.kept(bus.refused, 1)))
    s.claim(~answered | port.we | (port.dat_r == s.kept(bus.read_data, 1)))
    s.claim(~bus.done | (Cat(bus.write, bus.address) == Cat(port.we, port.adr)))
    s.claim(~bus.done | ~port.we | (Cat(bus.data, bus.whole) == Cat(port.dat_w, port.sel.all())))
    s.claim(~s.longer(selected & ~answered, 4))
    s.witness(s.count(port.ack) == 2)
    s.witness(port.err)


def receiver(s: Statement, *, restarts: bool) -> tuple[Any, dict[str, Signal]]:
    """A receiver of samples of two beats, with any source that keeps AXI4-Stream's rules."""
    component = SampleReceiver(bursts_layout(1, 2), BEATS)
    inside = s.add(component)
    port = component.port
    s.free(port.tdata, port.tvalid, port.tlast, component.bursts.ready, component.marks.ready, component.hold)
    if restarts:
        s.free(component.restart)
    s.assume(s.unchanged(port.tvalid, port.tready, port.tdata, port.tlast))
    return component, inside


def whole_samples(s: Statement) -> None:
    """However long its packets are, the network gets whole samples, each with one mark."""
    component, inside = receiver(s, restarts=True)
    bursts, marks = component.bursts, component.marks
    sent = bursts.valid & bursts.ready
    position = Signal(range(BEATS + 1), name="position")
    with s.module.If(component.restart):
        s.module.d.sync += position.eq(0)
    with s.module.Elif(sent):
        s.module.d.sync += position.eq(Mux(position == BEATS - 1, 0, position + 1))
    s.claim((marks.valid & marks.ready) == (sent & (position == BEATS - 1)))
    s.claim(~(component.restart & bursts.valid))
    s.agree(inside, {"position": position, "ends": position == BEATS - 1, "begun": position != 0})
    s.claim(~inside["filling"] | (position != 0))
    s.claim(component.between == (position == 0))
    s.claim(~(component.short & component.long))
    for event in (component.short, component.long, component.between & sent & component.marks.ready):
        s.witness(event)


def packets(s: Statement) -> None:
    """Whichever packet the solver picks becomes the sample of its number: unchanged and unmarked if it has the right
    length; else completed with zeros, or cut off, and marked."""
    component, _ = receiver(s, restarts=False)
    port, bursts, marks = component.port, component.bursts, component.marks
    picked = s.chosen(2, "picked")
    taken = port.tvalid & port.tready
    packet, sample = s.count(taken & port.tlast), s.count(marks.valid & marks.ready)
    place = Signal(3, name="place")
    beats = [Signal(2, name=f"beat_{number}") for number in range(BEATS)]
    length, complete = Signal(3, name="length"), Signal(name="complete")
    with s.module.If(taken):
        s.module.d.sync += place.eq(Mux(port.tlast, 0, Mux(place == BEATS + 1, place, place + 1)))
        with s.module.If(packet == picked):
            s.module.d.sync += [length.eq(place + 1), complete.eq(port.tlast)]
            for number, beat in enumerate(beats):
                with s.module.If(place == number):
                    s.module.d.sync += beat.eq(port.tdata)
    sent = bursts.valid & bursts.ready
    position = s.cycle(BEATS, sent)[0]
    mine = sent & (sample == picked)
    for number, beat in enumerate(beats):
        here = mine & (position == number)
        s.claim(~here | (bursts.payload[0] == Mux(length > number, beat, 0)))
        s.claim(~here | (length > number) | complete)
    ends = mine & (position == BEATS - 1)
    # When the last beat leaves, the packet has ended, or it goes on and is too long.
    s.claim(~ends | (marks.payload != (complete & (length == BEATS))))
    s.claim(sample <= packet + 1)
    s.witness(ends & (picked == 1) & ~marks.payload)
    s.witness(ends & (picked == 1) & marks.payload & (length == 1))
    s.witness((sample == 2) & (picked == 0) & (length == BEATS + 1))


def receiver_serves(s: Statement) -> None:
    """A beat that waits while the network takes everything is taken within a few cycles, whatever came before."""
    component, _ = receiver(s, restarts=True)
    port = component.port
    s.assume(component.bursts.ready & component.marks.ready & ~component.hold & ~component.restart)
    waits = port.tvalid & ~port.tready
    s.claim(~s.longer(waits, BEATS))
    s.witness(s.kept(waits, 1) & port.tready)


def sender(s: Statement) -> Any:
    """A sender of results, with any network and restarts at any time."""
    component = ResultSender(CONFIG.readout)
    s.add(component)
    s.free(component.results.valid, component.results.payload, component.marks.valid, component.marks.payload)
    s.free(component.port.tready, component.restart)
    return component


def sender_stable(s: Statement) -> None:
    """A word that waits stays, even if the network restarts."""
    component = sender(s)
    port = component.port
    s.claim(s.unchanged(port.tvalid, port.tready, port.tdata, port.tlast, port.tuser))
    s.witness(s.kept(port.tvalid & ~port.tready & component.restart, 1) & port.tready)


def whole_results(s: Statement) -> None:
    """Packets have all their words, whenever the network restarts; only the last can be marked."""
    component = sender(s)
    port, results = component.port, component.results
    # The network gives a logit for each class, from the first one after a restart.
    number = Signal(range(CLASSES + 1), name="number")
    taken = results.valid & results.ready
    with s.module.If(component.restart):
        s.module.d.sync += number.eq(0)
    with s.module.Elif(taken):
        s.module.d.sync += number.eq(Mux(number == CLASSES - 1, 0, number + 1))
    s.assume(results.payload.last == (number == CLASSES - 1))
    sent = port.tvalid & port.tready
    place, last = s.cycle(CLASSES + 1, sent)
    s.claim(~port.tvalid | (port.tlast == last))
    s.claim(~port.tvalid | ~port.tuser | last)
    s.claim(~(port.tvalid & last) | (port.tdata[BAD_BIT] == port.tuser))
    s.claim(~(component.marks.valid & component.marks.ready) | (taken & results.payload.last))
    restarted = s.kept(1, component.restart)
    s.witness(sent & last & ~restarted & ~port.tuser)
    s.witness(sent & last & restarted & port.tuser & (place == CLASSES))


def counted(s: Statement) -> None:
    """Two counters, one of which the solver lets count what it likes: what is read is right up to what was counted
    during the last two turns around the counters."""
    component = CounterBank({"one": 2, "two": 1}, "distributed")
    s.add(component)
    s.free(component.increments.one, component.increments.two)
    index = s.chosen(1, "index")
    s.module.d.comb += component.index.eq(index)
    total = Signal(8, name="total")
    amount = Mux(index, component.increments.two, component.increments.one)
    s.module.d.sync += total.eq(total + amount)
    before: Value = total
    for _ in range(10):
        before = s.kept(before, 1)
    # The first cycles after power-on have nothing before them.
    value = component.value[:8]
    s.claim(~component.valid | ((value <= total) & (value >= before)))
    s.witness(component.valid & (value == 9))


PROOFS = [
    Proof(
        name="AXI4-Lite: stable",
        claim="bvalid and rvalid stay, with their payload, until they are taken",
        circuits={"": lite_stable},
        unbounded=True,
        depth=2,
    ),
    Proof(
        name="AXI4-Lite: answers",
        claim="every write and every read gets exactly one answer, and none comes unasked",
        circuits={"": lite_answers},
        unbounded=True,
        depth=3,
        reach=20,
    ),
    Proof(
        name="AXI4-Lite: access",
        claim="the registers see the address, data and strobes that were sent, and their answer is what comes back",
        circuits={"": lite_access},
        unbounded=False,
        depth=14,
        reach=16,
    ),
    Proof(
        name="AXI4-Lite: live",
        claim=f"a read or a write is taken within {LONGEST_WAIT} cycles if nobody pauses",
        circuits={"": lite_serves},
        unbounded=False,
        depth=24,
    ),
    Proof(
        name="Wishbone: answers",
        claim="every cycle ends with one ack or err, within 4 cycles, and with the registers' answer",
        circuits={"": wishbone_answers},
        unbounded=False,
        depth=16,
        reach=16,
    ),
    Proof(
        name="sample receiver: whole samples",
        claim="the network gets whole samples, each with one mark, however long packets are, whenever it restarts",
        circuits={"": whole_samples},
        unbounded=True,
        depth=3,
    ),
    Proof(
        name="sample receiver: packets",
        claim="a packet of the right length becomes the sample of its number, unmarked; any other is completed with "
        "zeros or cut off, and marked",
        circuits={"": packets},
        unbounded=False,
        depth=14,
        reach=14,
    ),
    Proof(
        name="sample receiver: live",
        claim=f"a beat is taken within {BEATS} cycles if what leaves is taken",
        circuits={"": receiver_serves},
        unbounded=False,
        depth=16,
    ),
    Proof(
        name="result sender: stable",
        claim="tvalid stays, with its payload, until it is taken, whenever the network restarts",
        circuits={"": sender_stable},
        unbounded=True,
        depth=2,
    ),
    Proof(
        name="result sender: whole results",
        claim="every packet has all its words and tlast on the last one, whenever the network restarts",
        circuits={"": whole_results},
        unbounded=False,
        depth=14,
        reach=16,
    ),
    Proof(
        name="counters: totals",
        claim="what is read has been counted, except what came during the last two turns",
        circuits={"": counted},
        unbounded=False,
        depth=20,
        reach=20,
    ),
]
