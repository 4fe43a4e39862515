"""All targets, by their names for ``--target``. A new target takes a file and one more entry here."""

from gen.targets.board import BoardTarget
from gen.targets.core import CoreTarget
from gen.targets.target import Target

TARGETS: dict[str, Target] = {
    "board": BoardTarget(),
    "axi": CoreTarget(),
    "wishbone": CoreTarget(),
    "stream": CoreTarget(),
}
