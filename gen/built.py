"""Reading an earlier build, so that all files come from one and the same build."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from boards.parts import find_place
from gen.design import Hardware
from gen.reported import MOMENT, REPORT, TRIES, check_unchanged, identity, read_report
from hw.configure import configure
from hw.plan import load_plan
from qblif.errors import UserError
from qblif.network.file import load_network, network_sha256

PLAN = "plan.json"


@contextmanager
def one_build(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield a folder with copies of a build's report and of those of the files ``names`` that exist.

    A build folder can be replaced as a whole at any time (:func:`qblif.files.whole_folder`), so files that are read one
    by one may come from two builds. A UserError raised in the block names the build's own folder.

    Raises:
        UserError: ``folder`` is not a build folder, is replaced again and again, or one of the files was changed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / folder.name
        for left in reversed(range(TRIES)):
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir()
            try:
                before = identity(folder)
                for name in dict.fromkeys((*names, PLAN)):
                    with suppress(FileNotFoundError):
                        shutil.copyfile(folder / name, copy / name)
                if identity(folder) == before:
                    break
            except UserError:
                # While a folder is being replaced, it is missing for a moment.
                if not left:
                    raise
                time.sleep(MOMENT)
        else:
            raise UserError(f"{folder} is being replaced by another build; wait until that has ended")
        (copy / REPORT).write_bytes(before[-1])
        try:
            check_unchanged(folder, copy)
            check_consistent(copy)
            yield copy
        except UserError as error:
            error.args = (str(error).replace(str(copy), str(folder)),)
            raise


def check_consistent(folder: Path) -> None:
    """Raise UserError unless report and plan of a build, if it has one, name the same board and clock."""
    report = read_report(folder, ("board", "clock_mhz", "files"))
    if PLAN not in report["files"]:
        return
    plan = load_plan(folder / PLAN)
    if (report["board"], report["clock_mhz"]) != (plan.board, plan.clock_mhz):
        raise UserError(f"{folder / REPORT} names another board or clock than {PLAN}; build again")


def built_hardware(folder: Path) -> Hardware:
    """Network, plan and configuration of a build.

    Raises:
        UserError: a file is missing or damaged, or plan or network are not the ones that the report describes.
    """
    report = read_report(folder, ("plan_sha256", "network_sha256"))
    plan, (network, references) = load_plan(folder / PLAN), load_network(folder / "network.safetensors")
    sha256 = network_sha256(network, references)
    for name, found in (("plan", plan.sha256), ("network", sha256)):
        if found != report[f"{name}_sha256"]:
            raise UserError(f"{folder} holds another {name} than {REPORT} is about; build it again")
    return Hardware(
        board=find_place(plan.board),
        network=network,
        references=references,
        sha256=sha256,
        plan=plan,
        config=configure(network, plan),
    )
