"""The mutation campaign itself: its places exist, a planted bug is found, and code without a bug is not accused."""

import dataclasses

import pytest

from qblif.errors import UserError
from studies import mutations
from studies.mutants import Mutant
from studies.mutations import MUTANTS


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
        file="hw/engines/event/weights.py",
        old="weights.shape[1]] = weights",
        new="weights.shape[1]] = -weights",
        tests=("tests/hw/test_weights.py",),
    )
    found = mutations.hunt(bug)
    assert found is not None
    assert found.startswith("tests/hw/test_weights.py::")
    harmless = dataclasses.replace(bug, new="weights.shape[1]] = +weights")
    assert mutations.hunt(harmless) is None


def test_a_place_that_is_not_there_is_named():
    with pytest.raises(UserError, match="0 times"):
        mutations.mutated("text", dataclasses.replace(MUTANTS[0], old="nothing like it"))


def test_an_interrupted_campaign_goes_on_until_the_code_changes(tmp_path, monkeypatch):
    hunted = []

    def hunt(mutant):
        hunted.append(mutant.what)
        if len(hunted) == 2:
            raise KeyboardInterrupt
        return None if mutant is MUTANTS[2] else "some test"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mutations, "hunt", hunt)
    with pytest.raises(KeyboardInterrupt):
        mutations.hunt_all(MUTANTS[:3], 1)
    outcomes = mutations.hunt_all(MUTANTS[:3], 1)
    first = MUTANTS[0].what
    assert outcomes == ["some test", "some test", None]
    assert hunted[0] == first
    assert hunted.count(first) == 1
    monkeypatch.setattr(mutations, "code_sha256", lambda: "other code")
    mutations.hunt_all(MUTANTS[:3], 1)
    assert hunted.count(first) == 2


def test_what_no_test_can_find_is_explained_and_not_counted(tmp_path, monkeypatch, capsys):
    mutants = [dataclasses.replace(MUTANTS[0]), dataclasses.replace(MUTANTS[1], equivalent="it does the same")]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mutations, "chosen", lambda _: mutants)
    monkeypatch.setattr(mutations, "hunt", lambda mutant: None if mutant.equivalent else "some test")
    assert mutations.main(["--out", "table.md"]) == 0
    assert "1 of 1 bugs found" in capsys.readouterr().out
    assert f"| {MUTANTS[1].what} | it does the same |" in (tmp_path / "table.md").read_text()
