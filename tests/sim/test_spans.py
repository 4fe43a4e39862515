"""Logs of changes, and shares of cycles."""

import numpy as np
import pytest

from sim.spans import read_spans, shares


def test_changes_become_states_of_cycles(tmp_path):
    path = tmp_path / "spans.log"
    path.write_text("2 1\n3 0\n5 3\n7 end\n")
    assert read_spans(path).tolist() == [0, 0, 1, 0, 0, 3, 3]
    path.write_text("4 end\n")
    assert read_spans(path).tolist() == [0] * 4
    path.write_text("2 1\n")
    with pytest.raises(ValueError, match="incomplete"):
        read_spans(path)


def test_shares_are_those_of_each_column():
    states = np.array([0, 1, 1, 3, 1, 1])
    assert shares(states, 1, np.array([0, 2, 4, 6])) == [0.5, 0.5, 1.0]
    assert shares(states, 3, np.array([0, 6])) == [round(1 / 6, 3)]
    # Cycles after the end of the log count as none.
    assert shares(states, 1, np.array([4, 8])) == [0.5]
