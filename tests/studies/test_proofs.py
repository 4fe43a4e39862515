"""Every proof as a test; those that take longer than a few seconds run with make test-slow."""

import pytest
from amaranth.hdl import Mux, Signal

from studies.formal import constants, delays, layers, neurons, restarts, states, steps, streams
from studies.formal.proof import Proof, Statement, prove


def cases(proofs: list[Proof]) -> list:
    return [
        pytest.param(proof, setting, id=f"{proof.name}: {setting}".rstrip(": "))
        for proof in proofs
        for setting in proof.circuits
    ]


QUICK = [*neurons.PROOFS, *states.PROOFS, *streams.PROOFS, *delays.PROOFS, *restarts.QUICK_PROOFS, *steps.PROOFS]
LONG = [*layers.PROOFS, *constants.PROOFS, *(proof for proof in restarts.PROOFS if proof not in restarts.QUICK_PROOFS)]


@pytest.mark.parametrize(("proof", "setting"), cases(QUICK))
def test_proof(proof, setting, tmp_path):
    assert prove(proof, setting, tmp_path) == "proved"


@pytest.mark.slow
@pytest.mark.parametrize(("proof", "setting"), cases(LONG))
def test_long_proof(proof, setting, tmp_path):
    assert prove(proof, setting, tmp_path) == "proved"


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
