"""From configuration to Verilog, and the memory images read back out of it."""

import re

from amaranth.back import verilog

from boards.tools import use_yosys
from hw.configuration import TopConfig
from hw.top import NetworkTop

MEMORY_WORD = re.compile(r"^\s*weights\[(\d+)\] = \d+'([hd])([0-9a-f]+);$", re.MULTILINE)
BASE = {"h": 16, "d": 10}


def network_verilog(config: TopConfig, *, taps: bool = False) -> str:
    """Verilog of the network; the same configuration gives the same text, byte for byte.

    With ``taps`` the top has further outputs (see :class:`hw.top.NetworkTop`); its layers are unchanged.
    """
    use_yosys()
    return verilog.convert(NetworkTop(config, taps=taps), name="network", emit_src=False, strip_internal_attrs=True)


def modules(text: str) -> dict[str, str]:
    """The text of every module of a Verilog file, by name."""
    return {
        match.group(1).strip("\\ "): match.group(0)
        for match in re.finditer(r"^module (\\\S+ |\w+)\(.*?^endmodule$", text, re.MULTILINE | re.DOTALL)
    }


def check_weight_memories(text: str, config: TopConfig) -> None:
    """Read every weight memory out of the Verilog and hold it against the configuration.

    Raises:
        RuntimeError: a word differs, is missing, or is not there at all: the lowering is wrong.
    """
    found = modules(text)
    for layer in config.layers:
        body = found.get(f"network.{layer.name}_projection.array", "")
        words = {int(index): int(word, BASE[base]) for index, base, word in MEMORY_WORD.findall(body)}
        if [words.get(index) for index in range(len(layer.projection.weight_words))] != list(
            layer.projection.weight_words
        ):
            raise RuntimeError(f"layer {layer.name}: the Verilog's weight memory is not the network's")
