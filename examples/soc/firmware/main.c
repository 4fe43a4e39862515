/* Classifies images with the network's core, and prints the class and the logits of each. */
#include <stdint.h>

#include <generated/csr.h>
#include <generated/mem.h>
#include <irq.h>

#include "images.h"
#include "qblif_core.h"
#include "qblif_core_driver.h"

#define BEAT_WORDS ((QBLIF_CORE_BEAT_BYTES + 3) / 4)
#define RESULT_WORDS (sizeof(qblif_core_word) / 4)
#define LEVELS ((1u << QBLIF_CORE_INPUT_BITS) - 1)
#define POLLS 1000

static uint8_t burst_of[256];
static uint32_t sample[QBLIF_CORE_PACKET_BEATS][BEAT_WORDS];
static qblif_core_word packet[QBLIF_CORE_CLASSES + 1];
static volatile unsigned results;

/* What the driver wants from its user. */
uint32_t qblif_core_bus_read(uintptr_t address) { return *(volatile uint32_t *)address; }
void qblif_core_bus_write(uintptr_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

void isr(void) {
  qblif_core_irq_clear(NETWORK_BASE, QBLIF_CORE_IRQ_STATUS_RESULT);
  results++;
}

static void print_character(char character) {
  while (uart_txfull_read()) {
  }
  uart_rxtx_write((uint8_t)character);
}

static void print(const char *text) {
  while (*text) print_character(*text++);
}

static void print_number(qblif_core_word number) {
  char digits[20];
  unsigned count = 0;
  qblif_core_word rest = number;
  if (number < 0) print_character('-');
  do {
    int digit = (int)(rest % 10);
    digits[count++] = (char)('0' + (digit < 0 ? -digit : digit));
    rest /= 10;
  } while (rest);
  while (count) print_character(digits[--count]);
}

static void wait_for_key(void) {
  while (uart_rxempty_read()) {
  }
  uart_rxtx_read();
  uart_ev_pending_write(1 << CSR_UART_EV_PENDING_RX_OFFSET);
}

static uint32_t cycles(void) { return qblif_core_counter(NETWORK_BASE, QBLIF_CORE_COUNTER_CLOCK_CYCLES); }

/* Code the bytes of an image as bursts, and pack these into beats. */
static void prepare(const uint8_t *image) {
  unsigned beat, place;
  uint8_t bursts[QBLIF_CORE_BEAT_CHANNELS];
  for (beat = 0; beat < QBLIF_CORE_PACKET_BEATS; beat++) {
    for (place = 0; place < QBLIF_CORE_BEAT_CHANNELS; place++) bursts[place] = burst_of[*image++];
    qblif_core_pack_beat(bursts, (uint8_t *)sample[beat]);
  }
}

static void send(void) {
  unsigned beat, word;
  for (beat = 0; beat < QBLIF_CORE_PACKET_BEATS; beat++)
    for (word = 0; word < BEAT_WORDS; word++) {
      if (beat == QBLIF_CORE_PACKET_BEATS - 1 && word == BEAT_WORDS - 1) network_samples_last_write(1);
      while (!network_samples_room_read()) {
      }
      network_samples_word_write(sample[beat][word]);
    }
  network_samples_last_write(0);
}

static struct qblif_core_result receive(void) {
  unsigned place, word;
  for (place = 0; place <= QBLIF_CORE_CLASSES; place++) {
    packet[place] = 0;
    for (word = 0; word < RESULT_WORDS; word++)
      packet[place] |= (qblif_core_word)((uint64_t)network_results_word_read() << (32 * word));
  }
  return qblif_core_result_of(packet);
}

static void classify(unsigned number) {
  uint32_t begun = cycles(), prepared, answered;
  unsigned place, before = results;
  struct qblif_core_result result;
  prepare(images[number]);
  prepared = cycles();
  send();
  while (results == before) {
  }
  result = receive();
  answered = cycles();
  print("image ");
  print_number((qblif_core_word)number);
  print(": class ");
  print_number((qblif_core_word)result.winner);
  print(", label ");
  print_number(labels[number]);
  print(", logits");
  for (place = 0; place < QBLIF_CORE_CLASSES; place++) {
    print_character(' ');
    print_number(result.logits[place]);
  }
  print(", cycles ");
  print_number((qblif_core_word)(prepared - begun));
  print_character(' ');
  print_number((qblif_core_word)(answered - prepared));
  print(result.bad ? ", bad\n" : "\n");
}

int main(void) {
  unsigned number;
  for (number = 0; number < 256; number++) burst_of[number] = (uint8_t)((2 * number * LEVELS + 255) / 510);
  irq_setmask(1 << NETWORK_INTERRUPT);
  network_ev_enable_write(1);
  irq_setie(1);
  for (;;) {
    if (qblif_core_probe(NETWORK_BASE) != QBLIF_CORE_OK || qblif_core_reset(NETWORK_BASE, POLLS) != QBLIF_CORE_OK)
      print("the core does not answer\n");
    else {
      qblif_core_irq_enable(NETWORK_BASE, QBLIF_CORE_IRQ_ENABLE_RESULT);
      for (number = 0; number < IMAGES; number++) classify(number);
    }
    print("done\n");
    wait_for_key();
  }
}
