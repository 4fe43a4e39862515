"""C header and driver of a core, made from its register map."""

import zlib

import numpy as np

from gen.design import Design
from gen.emit.core import MODULE, table_words
from gen.package.contents import Contents
from hw.ports.axi_stream import BAD_BIT
from hw.ports.registers import Register, RegisterMap

PREFIX = MODULE.upper()

HEADER = """\
/* Registers of {module}, and what its packets hold. Made by the generator of the core; see datasheet.md. */
#ifndef {prefix}_H
#define {prefix}_H

#include <stdint.h>

/* Packets. */
#define {prefix}_PACKET_BEATS {beats}u /* beats of a sample */
#define {prefix}_BEAT_BYTES {beat_bytes}u /* bytes of each, the lowest first */
#define {prefix}_BEAT_CHANNELS {group}u /* bursts of each */
#define {prefix}_INPUT_BITS {input_bits}u /* bits of a burst */
#define {prefix}_CLASSES {classes}u /* logits of a result, before the word with the class */
#define {prefix}_CLASS_MASK 0xffffu /* the class, in the last word of a result */
#define {prefix}_BAD (UINT32_C(1) << {bad_bit}) /* its mark there: the packet had a wrong length, or a reset came */
#define {prefix}_FRACTION_BITS {fraction_bits}u /* a logit is this integer times 2^-FRACTION_BITS */
typedef int{word_bits}_t {module}_word;
{registers}
#endif
"""

DRIVER_HEADER = """\
/* Driver of {module}: it allocates nothing, and reaches the hardware through two functions that you supply. */
#ifndef {prefix}_DRIVER_H
#define {prefix}_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "{module}.h"

#ifdef __cplusplus
extern "C" {{
#endif

/* Yours: a 32-bit access to the byte at `address`, which is BASE + an offset of {module}.h. */
uint32_t {module}_bus_read(uintptr_t address);
void {module}_bus_write(uintptr_t address, uint32_t value);

enum {module}_error {{
  {prefix}_OK = 0,
  {prefix}_NOT_THERE = -1, /* no core, another version of its registers, or another network */
  {prefix}_TIMEOUT = -2,   /* the core did not become idle in as many polls as were allowed */
  {prefix}_WRONG = -3      /* a table does not hold what was written */
}};

struct {module}_result {{
  const {module}_word *logits; /* {prefix}_CLASSES of them, in the packet itself */
  unsigned winner;             /* the class */
  int bad;                     /* the packet of the sample had a wrong length, or a reset cut the result off */
}};

/* Whether the core at `base` is the one that this driver was made for. */
int {module}_probe(uintptr_t base);
/* Drop what is in progress and set the counters to 0; returns when the core takes samples again. */
int {module}_reset(uintptr_t base, unsigned polls);
/* Whether a sample is in progress. */
int {module}_busy(uintptr_t base);
/* A counter of {module}.h. */
uint32_t {module}_counter(uintptr_t base, unsigned number);
/* Interrupts: which may raise irq, which wait, and which to clear. */
void {module}_irq_enable(uintptr_t base, uint32_t mask);
uint32_t {module}_irq_pending(uintptr_t base);
void {module}_irq_clear(uintptr_t base, uint32_t mask);
/* Read a packet of m_axis. */
struct {module}_result {module}_result_of(const {module}_word *packet);
/* Put the bursts of a beat, one in each byte, into its {prefix}_BEAT_BYTES bytes. */
void {module}_pack_beat(const uint8_t *bursts, uint8_t *beat);
{tables}
#ifdef __cplusplus
}}
#endif
#endif
"""

TABLE_PROTOTYPES = """\
/* Begin no further sample, and wait until none is in progress; then tables may be written. */
int {module}_hold(uintptr_t base, unsigned polls);
/* Write a whole table, and compare the checksum of what its memory then holds. */
int {module}_write_table(uintptr_t base, unsigned table, const uint32_t *words, size_t count, uint32_t checksum,
                         unsigned polls);
/* Go on, with the tables as they are now; returns when the core takes samples again. */
int {module}_release(uintptr_t base, unsigned polls);
"""

DRIVER = """\
/* Driver of {module}; see {module}_driver.h. */
#include "{module}_driver.h"

static const uint32_t network_sha256[8] = {{
  {sha256}
}};

static uint32_t get(uintptr_t base, unsigned offset) {{ return {module}_bus_read(base + offset); }}
static void put(uintptr_t base, unsigned offset, uint32_t value) {{ {module}_bus_write(base + offset, value); }}

/* Poll STATUS until none of the bits of `mask` is set. */
static int until_clear(uintptr_t base, uint32_t mask, unsigned polls) {{
  while (get(base, {prefix}_REG_STATUS) & mask)
    if (polls-- == 0) return {prefix}_TIMEOUT;
  return {prefix}_OK;
}}

int {module}_probe(uintptr_t base) {{
  unsigned word;
  if (get(base, {prefix}_REG_MAGIC) != {prefix}_MAGIC_VALUE) return {prefix}_NOT_THERE;
  if (get(base, {prefix}_REG_VERSION) != {prefix}_VERSION_VALUE) return {prefix}_NOT_THERE;
  for (word = 0; word < 8; word++)
    if (get(base, {prefix}_REG_NETWORK_SHA256 + 4 * word) != network_sha256[word]) return {prefix}_NOT_THERE;
  return {prefix}_OK;
}}

int {module}_reset(uintptr_t base, unsigned polls) {{
  put(base, {prefix}_REG_CONTROL, {prefix}_CONTROL_RESET);
  return until_clear(base, {prefix}_STATUS_RESETTING | {prefix}_STATUS_BUSY, polls);
}}

int {module}_busy(uintptr_t base) {{ return (get(base, {prefix}_REG_STATUS) & {prefix}_STATUS_BUSY) != 0; }}

uint32_t {module}_counter(uintptr_t base, unsigned number) {{ return get(base, {prefix}_REG_COUNTERS + 4 * number); }}

void {module}_irq_enable(uintptr_t base, uint32_t mask) {{ put(base, {prefix}_REG_IRQ_ENABLE, mask); }}

uint32_t {module}_irq_pending(uintptr_t base) {{ return get(base, {prefix}_REG_IRQ_STATUS); }}

void {module}_irq_clear(uintptr_t base, uint32_t mask) {{ put(base, {prefix}_REG_IRQ_STATUS, mask); }}

struct {module}_result {module}_result_of(const {module}_word *packet) {{
  uint32_t last = (uint32_t)packet[{prefix}_CLASSES];
  struct {module}_result result;
  result.logits = packet;
  result.winner = last & {prefix}_CLASS_MASK;
  result.bad = (last & {prefix}_BAD) != 0;
  return result;
}}

void {module}_pack_beat(const uint8_t *bursts, uint8_t *beat) {{
  uint32_t held = 0;
  unsigned place, bits = 0;
  for (place = 0; place < {prefix}_BEAT_CHANNELS; place++) {{
    held |= (uint32_t)bursts[place] << bits;
    for (bits += {prefix}_INPUT_BITS; bits >= 8; bits -= 8) {{
      *beat++ = (uint8_t)held;
      held >>= 8;
    }}
  }}
  if (bits > 0) *beat = (uint8_t)held;
}}
{tables}"""

TABLE_FUNCTIONS = """\

int {module}_hold(uintptr_t base, unsigned polls) {{
  put(base, {prefix}_REG_CONTROL, {prefix}_CONTROL_HOLD);
  return until_clear(base, {prefix}_STATUS_BUSY | {prefix}_STATUS_RESETTING, polls);
}}

int {module}_write_table(uintptr_t base, unsigned table, const uint32_t *words, size_t count, uint32_t checksum,
                         unsigned polls) {{
  size_t word;
  int error;
  put(base, {prefix}_REG_TABLE_SELECT, table);
  for (word = 0; word < count; word++) put(base, {prefix}_REG_TABLE_DATA, words[word]);
  put(base, {prefix}_REG_TABLE_CHECK, 0);
  error = until_clear(base, {prefix}_STATUS_CHECKING, polls);
  if (error != {prefix}_OK) return error;
  return get(base, {prefix}_REG_TABLE_CHECK) == checksum ? {prefix}_OK : {prefix}_WRONG;
}}

int {module}_release(uintptr_t base, unsigned polls) {{
  put(base, {prefix}_REG_CONTROL, 0);
  return until_clear(base, {prefix}_STATUS_RESETTING, polls);
}}
"""


def software_files(contents: Contents) -> dict[str, str]:
    """Header and driver, by path; a core without registers has only the header."""
    top, identity, registers = contents.config.top, contents.config.identity, contents.config.registers
    names = {"module": MODULE, "prefix": PREFIX}
    header = HEADER.format(
        **names,
        beats=top.beats_per_result,
        beat_bytes=-(-top.input.group * top.input.burst_bits // 8),
        group=top.input.group,
        input_bits=top.input.burst_bits,
        classes=top.readout.classes,
        bad_bit=BAD_BIT,
        fraction_bits=identity.fraction_bits,
        word_bits=8 * contents.config.result_bytes,
        registers="" if registers is None else register_defines(contents, registers),
    )
    files = {f"sw/{MODULE}.h": header}
    if registers is None:
        return files
    sha256 = ", ".join(f"0x{word:08x}u" for word in registers["NETWORK_SHA256"].values)
    patchable = contents.config.patchable
    prototypes, functions = (text.format(**names) if patchable else "" for text in (TABLE_PROTOTYPES, TABLE_FUNCTIONS))
    files[f"sw/{MODULE}_driver.h"] = DRIVER_HEADER.format(**names, tables=prototypes)
    files[f"sw/{MODULE}_driver.c"] = DRIVER.format(**names, sha256=sha256, tables=functions)
    if patchable:
        files |= table_files(contents.design)
    return files


def register_defines(contents: Contents, registers: RegisterMap) -> str:
    """Offsets, bits and constants of all registers."""
    lines = ["", "/* Registers: offsets in bytes, and the bits of their parts. */"]
    lines.append(f"#define {PREFIX}_BYTES 0x{registers.bytes:x}u /* size of the address range */")
    for register in registers.registers:
        lines += defines_of(register)
    for number, table in enumerate(contents.config.tables):
        lines.append(f"/* table {number}: {table.name}, {table.depth} words of {table.width} bits */")
    return "\n".join(lines) + "\n"


def defines_of(register: Register) -> list[str]:
    """The lines of one register."""
    name = f"{PREFIX}_{register.name}"
    lines = [f"#define {PREFIX}_REG_{register.name} 0x{register.offset:03x}u /* {register.access}: {register.text} */"]
    if len(register.values) == 1:
        lines.append(f"#define {name}_VALUE UINT32_C(0x{register.values[0]:x})")
    for part in register.fields:
        mask = (1 << part.width) - 1 << part.bit
        lines.append(f"#define {name}_{part.name} UINT32_C(0x{mask:x}) /* {part.text} */")
    lines += [f"#define {PREFIX}_COUNTER_{one.upper()} {number}u" for number, one in enumerate(register.names)]
    return lines


def table_files(design: Design) -> dict[str, str]:
    """The words of every table of a network, as C arrays, with the checksum of each, by path."""
    lines = [
        f"/* Tables of network {design.sha256}, for {MODULE}_write_table. */",
        f"#ifndef {PREFIX}_TABLES_H",
        f"#define {PREFIX}_TABLES_H",
        "#include <stddef.h>",
        "#include <stdint.h>",
    ]
    rows = []
    for number, (table, words) in enumerate(table_words(design.config)):
        checksum = zlib.crc32(np.array(words, "<u4").tobytes())
        values = ", ".join(f"0x{word:x}u" for word in words)
        lines.append(f"static const uint32_t {MODULE}_table_{number}[] = {{ /* {table.name} */ {values} }};")
        rows.append(f"  {{{MODULE}_table_{number}, {len(words)}u, 0x{checksum:08x}u}}")
    lines += [
        f"static const struct {{ const uint32_t *words; size_t count; uint32_t checksum; }} {MODULE}_tables[] = {{",
        ",\n".join(rows),
        "};",
        f"#define {PREFIX}_TABLES {len(rows)}u",
        "#endif",
    ]
    return {f"sw/{MODULE}_tables.h": "\n".join(lines) + "\n"}
