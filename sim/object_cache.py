"""Compile each file of Verilator's runtime once, since it is the same in every simulation.

make runs this script in front of each command of the C++ compiler (Verilator's OBJCACHE); it needs only the standard
library::

    python object_cache.py FOLDER RUNTIME c++ -O1 ... -c -o verilated.o RUNTIME/verilated.cpp

Objects of files inside the folder RUNTIME are kept in FOLDER. Their names contain everything that decides about them:
the command, the compiler and the files of the runtime.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run the command, or copy what it gave before; returns its exit code."""
    folder, runtime, command = Path(arguments[0]), Path(arguments[1]), arguments[2:]
    if runtime not in Path(command[-1]).parents or "-o" not in command:
        return subprocess.run(command, check=False).returncode
    target = Path(command[command.index("-o") + 1])
    kept = folder / f"{digest(command, runtime)}.o"
    try:
        shutil.copyfile(kept, target)
        return 0
    except OSError:
        pass  # It was not compiled before, or somebody is emptying the folder.
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        keep(target, kept)
    return code


def digest(command: list[str], runtime: Path) -> str:
    """What decides about the object, as a name."""
    compiler = Path(shutil.which(command[0]) or command[0]).resolve()
    files = sorted(path for path in runtime.rglob("*") if path.suffix in (".h", ".cpp") and path.is_file())
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in (compiler, *files)]
    return hashlib.sha256(repr((command, stamps)).encode()).hexdigest()[:32]


def keep(target: Path, kept: Path) -> None:
    """Copy an object to where the next build finds it, whole or not at all; without room for it, leave it."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as partial:
            partial.write(target.read_bytes())
        Path(partial.name).replace(kept)
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
