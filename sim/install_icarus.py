"""Installs Icarus Verilog beside the running Python, from Debian's package and without root.

    python -m sim.install_icarus

Does nothing if ``iverilog`` is already on PATH.
"""

import sys
from pathlib import Path

from boards.tools import find_tool
from qblif.errors import Arguments, UserError, command_line
from qblif.files import write_whole
from qblif.kept import cache_folder
from snn.datasets.fetch import fetch_debian

SCRIPT = '#!/bin/sh\nexec "{program}" {option}"{library}" "$@"\n'


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    Arguments(
        prog="python -m sim.install_icarus",
        description="Put Icarus Verilog beside this Python, from Debian's package and without root. Does nothing where "
        "iverilog is on PATH already.",
    ).parse_args(arguments)
    if find_tool("iverilog") and find_tool("vvp"):
        return 0
    root = cache_folder() / "icarus"
    if not root.is_dir() and not fetch_debian("iverilog", "usr", root):
        raise UserError("apt-get cannot give iverilog here; install Icarus Verilog in your system's own way")
    library = next(root.glob("lib/*/ivl"), root / "lib" / "ivl")
    for name, option in (("iverilog", "-B"), ("vvp", "-M")):
        path = Path(sys.executable).parent / name
        write_whole(path, SCRIPT.format(program=root / "bin" / name, option=option, library=library))
        path.chmod(0o755)
    return 0


if __name__ == "__main__":
    sys.exit(main())
