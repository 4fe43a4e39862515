"""Command line ``qblif``, the entry to all other commands.

qblif build --board arty_a7 --ckpt model.pt    # the same as python -m gen.build --board arty_a7 --ckpt model.pt
"""

import argparse
import importlib
import sys

from qblif.errors import Arguments, UserError, command_line

COMMANDS = {
    "train": ("snn.train", "train", "train a network and write a checkpoint"),
    "convert": ("snn.convert.__main__", "nir", "convert a network of another framework into a checkpoint"),
    "plan": ("gen.plan", "build", "show how a network would be built for a board, in seconds"),
    "build": ("gen.build", "build", "from a checkpoint to a bitstream or an IP core"),
    "flash": ("gen.flash", "build", "load a bitstream into a board"),
    "run": ("sim.run", "sim", "simulate the hardware and compare it with the golden model, beat by beat"),
    "golden": ("sim.golden", "sim", "evaluate the integer network with the golden model"),
    "host": ("boards.host.__main__", "host", "talk to a flashed board over its serial port"),
    "virtual-board": ("sim.board", "sim", "serve a simulated board on a pseudo terminal"),
    "board": ("boards.__main__", "build", "list the boards, or show one"),
    "doctor": ("boards.doctor", "build", "which tools and rights this machine has, and how to get the rest"),
    "completion": ("qblif.completion", "host", "completion of these commands in bash and zsh"),
}
"""For each command: its module, the extra that installs its imports, and its description."""
EXAMPLES = """\
  qblif doctor                                                   # is everything there?
  qblif board list                                               # what can be built for
  qblif train --data fashion_mnist --model mlp --out model.pt    # a network of your own
  qblif plan --board ulx3s_85f --ckpt model.pt                   # what it will take, in seconds
  qblif build --board ulx3s_85f --ckpt model.pt                  # the bitstream, in build/ulx3s_85f
  qblif run --board ulx3s_85f --ckpt model.pt --data fashion_mnist --count 200
  qblif virtual-board build/ulx3s_85f --link /tmp/board          # without a board
  qblif flash --board ulx3s_85f                                  # with one
  qblif host --port /dev/ttyUSB0 bench --data fashion_mnist --ckpt model.pt"""
WIDTH = max(map(len, COMMANDS))
HELP = "\n".join(f"  {name:<{WIDTH}}  {what}" for name, (_, _, what) in COMMANDS.items())


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code of the command."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = Arguments(
        prog="qblif",
        usage="qblif COMMAND ...",
        description="From a trained spiking network to an FPGA, bit-exact, with open tools.",
        epilog=f"commands:\n{HELP}\n\nexamples:\n{EXAMPLES}\n\n"
        "qblif COMMAND --help says more; python -m MODULE does the same.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    command = parser.parse_args(arguments[:1] or ["--help"]).command
    module, extra, _ = COMMANDS[command]
    try:
        return int(importlib.import_module(module).main(arguments[1:]))
    except ModuleNotFoundError as error:
        raise UserError(f"qblif {command} needs {error.name}; pip install 'qblif[{extra}]'") from error


if __name__ == "__main__":
    sys.exit(main())
