"""Some hundred damaged files for every reader; tests.fuzz.campaign reads many thousands."""

import pytest

from qblif.errors import UserError
from tests.fuzz.campaign import Outcome, Reader, attack, in_own_process, judged
from tests.fuzz.readers import READERS

FILES = 60
MANY = 20_000


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_the_same_meaning_or_one_line(reader, tmp_path):
    outcome = attack(reader, FILES, 1, tmp_path)
    assert outcome.faults == []
    assert outcome.same + outcome.refused == FILES


@pytest.mark.slow
@pytest.mark.parametrize("name", [reader.name for reader in READERS])
def test_many_files(name):
    outcome = in_own_process(name, -(-MANY // len(READERS)), 2)
    assert outcome.faults == []


def ends_in_a_traceback(path):
    return 1 // path.read_bytes()[0]


def says_too_much(_):
    raise UserError("x" * 5000)


@pytest.mark.parametrize(
    ("read", "fault"),
    [
        (lambda path: path.read_bytes(), "something else"),
        (ends_in_a_traceback, "ZeroDivisionError"),
        (says_too_much, "5000 characters"),
    ],
)
def test_the_judge_sees_faults(read, fault, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\0")
    reader = Reader(name="bad", samples=lambda _: [path], read=read)
    found = judged(reader, path, b"\1", Outcome(name="bad"))
    assert found is not None
    assert fault in found
