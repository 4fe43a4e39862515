"""The mutation campaign itself: its places exist, a planted bug is found, and code without a bug is not accused."""

import dataclasses

import pytest

from hw.errors import UserError
from studies import mutations
from studies.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_every_mutant_has_its_place(mutant):
    text = (mutations.ROOT / mutant.file).read_text()
    assert mutations.mutated(text, mutant) != text
    assert any((mutations.ROOT / tests).exists() for tests in mutant.tests)


def test_at_least_forty():
    assert len({mutant.what for mutant in MUTANTS}) == len(MUTANTS) >= 40


def test_a_bug_is_found_and_a_change_without_effect_is_not():
    bug = Mutant(
        what="",
        file="hw/weights.py",
        old="weights.shape[1]] = weights",
        new="weights.shape[1]] = -weights",
        tests=("tests/hw/test_weights.py",),
    )
    found = mutations.hunt(bug).found_by
    assert found is not None
    assert found.startswith("tests/hw/test_weights.py::")
    harmless = dataclasses.replace(bug, new="weights.shape[1]] = +weights")
    assert mutations.hunt(harmless).found_by is None


def test_a_place_that_is_not_there_is_named():
    with pytest.raises(UserError, match="0 times"):
        mutations.mutated("text", dataclasses.replace(MUTANTS[0], old="nothing like it"))
