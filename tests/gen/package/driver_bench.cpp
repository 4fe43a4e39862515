// Runs the driver of a packaged core against the core itself, simulated by Verilator: its bus functions move the clock.
// Arguments: tb/samples.hex and tb/results.hex of the package, and how many packets they hold.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "Vqblif_core.h"
#include "qblif_core_driver.h"
#include "qblif_core_tables.h"
#include "verilated.h"

static VerilatedContext context;
static Vqblif_core *core;
static const uintptr_t BASE = 0x40000000;
static const unsigned POLLS = 100000;

static void tick() {
  core->aclk = 1;
  core->eval();
  core->aclk = 0;
  core->eval();
}

static void check(bool right, const char *what) {
  if (right) return;
  std::printf("FAIL: %s\n", what);
  std::exit(1);
}

template <typename Ready> static void wait_for(Ready ready, const char *what) {
  for (unsigned cycles = 0; !ready(); cycles++) {
    check(cycles < POLLS, what);
    tick();
  }
}

extern "C" uint32_t qblif_core_bus_read(uintptr_t address) {
  core->s_axi_araddr = address - BASE;
  core->s_axi_arvalid = 1;
  wait_for([] { return core->s_axi_arready; }, "a read is not taken");
  tick();
  core->s_axi_arvalid = 0;
  wait_for([] { return core->s_axi_rvalid; }, "a read is not answered");
  check(core->s_axi_rresp == 0, "a read is refused");
  uint32_t value = core->s_axi_rdata;
  core->s_axi_rready = 1;
  tick();
  core->s_axi_rready = 0;
  return value;
}

extern "C" void qblif_core_bus_write(uintptr_t address, uint32_t value) {
  core->s_axi_awaddr = address - BASE;
  core->s_axi_wdata = value;
  core->s_axi_wstrb = 15;
  core->s_axi_awvalid = core->s_axi_wvalid = 1;
  wait_for([] { return core->s_axi_awready && core->s_axi_wready; }, "a write is not taken");
  tick();
  core->s_axi_awvalid = core->s_axi_wvalid = 0;
  wait_for([] { return core->s_axi_bvalid; }, "a write is not answered");
  check(core->s_axi_bresp == 0, "a write is refused");
  core->s_axi_bready = 1;
  tick();
  core->s_axi_bready = 0;
}

static std::vector<uint64_t> words_of(const char *path) {
  std::ifstream file(path);
  std::vector<uint64_t> found;
  for (std::string line; std::getline(file, line);) found.push_back(std::stoull(line, nullptr, 16));
  return found;
}

static void send(const uint64_t *beats, unsigned count) {
  for (unsigned beat = 0; beat < count; beat++) {
    core->s_axis_tdata = beats[beat];
    core->s_axis_tlast = beat == count - 1;
    core->s_axis_tvalid = 1;
    wait_for([] { return core->s_axis_tready; }, "a beat is not taken");
    tick();
  }
  core->s_axis_tvalid = 0;
}

static std::vector<qblif_core_word> receive() {
  std::vector<qblif_core_word> packet;
  core->m_axis_tready = 1;
  for (bool last = false; !last;) {
    wait_for([] { return core->m_axis_tvalid; }, "no result");
    packet.push_back((qblif_core_word)core->m_axis_tdata);
    last = core->m_axis_tlast;
    tick();
  }
  core->m_axis_tready = 0;
  return packet;
}

static void infer(const std::vector<uint64_t> &samples, const std::vector<uint64_t> &results, unsigned number) {
  send(&samples[number * QBLIF_CORE_PACKET_BEATS], QBLIF_CORE_PACKET_BEATS);
  std::vector<qblif_core_word> packet = receive();
  check(packet.size() == QBLIF_CORE_CLASSES + 1, "a result has another length");
  struct qblif_core_result result = qblif_core_result_of(packet.data());
  const uint64_t *expected = &results[number * (QBLIF_CORE_CLASSES + 1)];
  for (unsigned place = 0; place < QBLIF_CORE_CLASSES; place++)
    check((uint32_t)result.logits[place] == expected[place], "a logit is wrong");
  check(result.winner == expected[QBLIF_CORE_CLASSES] && !result.bad, "the class is wrong");
}

int main(int count, char **arguments) {
  check(count == 4, "samples, results and packets are missing");
  core = new Vqblif_core(&context);
  std::vector<uint64_t> samples = words_of(arguments[1]), results = words_of(arguments[2]);
  unsigned packets = std::atoi(arguments[3]);
  core->aresetn = 0;
  for (unsigned cycle = 0; cycle < 4; cycle++) tick();
  core->aresetn = 1;

  check(qblif_core_probe(BASE) == QBLIF_CORE_OK, "the driver does not know the core");
  for (unsigned number = 0; number < packets; number++) infer(samples, results, number);
  check(qblif_core_irq_pending(BASE) == QBLIF_CORE_IRQ_STATUS_RESULT, "no interrupt waits");
  check(!core->irq, "irq is high though nothing is enabled");
  qblif_core_irq_enable(BASE, QBLIF_CORE_IRQ_ENABLE_RESULT);
  check(core->irq, "irq is not raised");
  qblif_core_irq_clear(BASE, QBLIF_CORE_IRQ_STATUS_RESULT);
  check(!core->irq, "irq is not cleared");
  for (unsigned cycle = 0; cycle < 500; cycle++) tick();
  check(qblif_core_counter(BASE, QBLIF_CORE_COUNTER_INFERENCES) == packets, "inferences are counted wrongly");

  // A short packet is marked, counted and raises an interrupt; a reset sets the counter to 0.
  send(&samples[0], QBLIF_CORE_PACKET_BEATS - 1);
  std::vector<qblif_core_word> packet = receive();
  check(qblif_core_result_of(packet.data()).bad, "a short packet is not marked");
  check(qblif_core_irq_pending(BASE) & QBLIF_CORE_IRQ_STATUS_ERROR, "a short packet raises no interrupt");
  for (unsigned cycle = 0; cycle < 500; cycle++) tick();
  check(qblif_core_counter(BASE, QBLIF_CORE_COUNTER_SHORT_PACKETS) == 1, "a short packet is not counted");
  check(qblif_core_reset(BASE, POLLS) == QBLIF_CORE_OK, "a reset does not end");
  for (unsigned cycle = 0; cycle < 500; cycle++) tick();
  check(qblif_core_counter(BASE, QBLIF_CORE_COUNTER_SHORT_PACKETS) == 0, "a reset leaves a counter");

  // Other tables, which give other results, are found by their checksums; with its own tables the network is back.
  check(qblif_core_hold(BASE, POLLS) == QBLIF_CORE_OK, "the core does not hold");
  std::vector<uint32_t> zeros(qblif_core_tables[0].count);
  check(qblif_core_write_table(BASE, 0, zeros.data(), zeros.size(), qblif_core_tables[0].checksum, POLLS) ==
            QBLIF_CORE_WRONG,
        "a wrong table is not found");
  for (unsigned table = 0; table < QBLIF_CORE_TABLES; table++)
    check(qblif_core_write_table(BASE, table, qblif_core_tables[table].words, qblif_core_tables[table].count,
                                 qblif_core_tables[table].checksum, POLLS) == QBLIF_CORE_OK,
          "a table is not written");
  check(qblif_core_release(BASE, POLLS) == QBLIF_CORE_OK, "the core does not go on");
  for (unsigned number = 0; number < packets; number++) infer(samples, results, number);

  // Bursts become the bytes of a beat.
  uint8_t bursts[QBLIF_CORE_BEAT_CHANNELS], beat[QBLIF_CORE_BEAT_BYTES];
  for (unsigned place = 0; place < QBLIF_CORE_BEAT_CHANNELS; place++)
    bursts[place] = samples[0] >> (place * QBLIF_CORE_INPUT_BITS) & ((1u << QBLIF_CORE_INPUT_BITS) - 1);
  qblif_core_pack_beat(bursts, beat);
  for (unsigned place = 0; place < QBLIF_CORE_BEAT_BYTES; place++)
    check(beat[place] == (samples[0] >> (8 * place) & 0xff), "a beat is packed wrongly");
  std::printf("PASS: %u results\n", 2 * packets);
  delete core;
  return 0;
}
