"""The study of burst neurons: its grid, what is measured, and that it goes on where it was."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import fold
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.projections import Conv2d, Skip
from snn.datasets.data import load
from snn.training import Training
from studies.burst import __main__ as burst
from studies.burst import campaign, run
from studies.burst.grid import read_grid
from studies.burst.measure import activity_figures
from studies.burst.report import Point, front, once
from studies.burst.results import FinishedRuns
from tests.reference import scalar_run

GRID = """
[base]
data = "digits"
model = "cnn"
channels = [4]
hidden = []
timesteps = 2
float_epochs = 1
qat_epochs = 1
batch = 32

[arms.binary]
burst_bits = 1
[arms.full]
burst_bits = 1
threshold = 1.0

[series.arms]
arms = ["binary", "full"]
seeds = [1, 2]
[series.timesteps]
arms = ["binary"]
vary = { timesteps = [1, 2] }
"""


def noting(call, note):
    """``call``, of whose arguments ``note`` is told first."""

    def told(*args, **more):
        note(*args)
        return call(*args, **more)

    return told


@pytest.fixture
def grid(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return path


def test_the_grid_is_every_arm_value_and_seed(grid):
    runs = read_grid(grid)
    assert [(run.series, run.arm, run.varied, run.seed) for run in runs] == [
        ("arms", "binary", "", 1),
        ("arms", "binary", "", 2),
        ("arms", "full", "", 1),
        ("arms", "full", "", 2),
        ("timesteps", "binary", "timesteps 1", 1),
        ("timesteps", "binary", "timesteps 2", 1),
    ]
    # One training that belongs to two series is run once.
    assert runs[0].key == runs[5].key
    assert len({run.key for run in runs}) == 5
    assert "--threshold 1.0" in runs[2].command
    assert "--timesteps 1" in runs[4].command


def test_one_seed_of_everything_comes_before_the_next(grid, tmp_path):
    runs = read_grid(grid)
    missing = campaign.missing_runs(runs, FinishedRuns(tmp_path))
    assert missing == [runs[0], runs[2], runs[4], runs[1], runs[3]]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[base", "TOML"),
        ("[base]", "not a grid"),
        ("[base]\n[arms.a]\n[series.s]\narms = ['b']", "not a grid"),
        ("[base]\nspeed = 3\n[arms.a]\n[series.s]\narms = ['a']", "speed"),
        ("[base]\ndata = 'digits'\nseed = -1\n[arms.a]\n[series.s]\narms = ['a']\nseeds = [-1]", "--seed"),
        ("[base]\n[arms.a]\n[series.s]\narms = []", "no runs"),
    ],
)
def test_grids_that_are_none(tmp_path, content, named):
    path = tmp_path / "grid.toml"
    path.write_text(content)
    with pytest.raises(UserError, match=named):
        read_grid(path)


def test_the_shipped_grids_can_be_read():
    grids = sorted(burst.HERE.glob("*.toml"))
    assert {burst.GRID, burst.SMOKE} < set(grids)
    assert all(read_grid(path) for path in grids)


def test_figures_are_those_of_the_network_neuron_by_neuron(zoo):
    network = fold(load_checkpoint(zoo / "digits_resnet.pt"))
    images = load("digits", "test").first(2)
    figures = activity_figures(network, images)
    operations = accumulates = bursts = 0
    for sample in encode(images.pixels, network.input):
        sent = scalar_run(network, sample).bursts
        bursts += sum(int(sent[node.name].sum()) for node in network.nodes)
        for projection in network.projections:
            if isinstance(projection, Skip):
                continue
            source = sent[projection.source]
            for t, c, y, x in np.argwhere(source > 0):
                reached = len(projection.weights)
                if isinstance(projection, Conv2d):
                    reached *= positions(projection, source.shape, y, x)
                counted = int(source[t, c, y, x])
                operations += counted * reached
                accumulates += counted.bit_count() * reached
    assert figures["operations"] == operations / 2
    assert figures["accumulates"] == accumulates / 2
    assert figures["bursts"] == bursts / 2
    assert all(sum(shares) == pytest.approx(1, abs=1e-4) for shares in figures["histogram"].values())


def positions(projection, shape, y, x):
    """How many positions of the target see the source position (y, x), each through one kernel element."""
    count = 0
    _, _, height, width = projection.weights.shape
    stride, padding = projection.stride, projection.padding
    rows = (shape[2] + 2 * padding - height) // stride + 1
    columns = (shape[3] + 2 * padding - width) // stride + 1
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride - padding, column * stride - padding
            count += top <= y < top + height and left <= x < left + width
    return count


def test_runs_are_made_once_and_reported(grid, tmp_path, monkeypatch, capsys):
    work = tmp_path / "work"
    words = ["--grid", str(grid), "--work-dir", str(work)]
    assert burst.main([*words, "--series", "arms"]) == 0
    out = capsys.readouterr().out
    assert "4 of 4 runs" in out
    with (work / "report" / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["arm"] for row in rows] == ["binary", "binary", "full", "full"]
    assert all(float(row["accuracy"]) > 0.3 for row in rows)
    assert all(float(row["fastest_cycles"]) > 0 for row in rows)
    document = (work / "report" / "README.md").read_text()
    assert "| full | binary |" in document
    assert (work / "report" / "accuracy_against_cost.svg").is_file()

    trained: list[object] = []
    monkeypatch.setattr(run, "train", noting(run.train, lambda *args: trained.append(args)))
    # What the trainings left behind is not needed to go on.
    for folder in work.glob("*/model.pt"):
        shutil.rmtree(folder.parent)
    assert burst.main(words) == 0
    assert len(trained) == 1, "only the one training that was not there"
    assert burst.main([*words, "--report"]) == 0
    assert len(trained) == 1


@pytest.mark.parametrize(("workers", "threads"), [(1, 5), (2, 2), (8, 1)])
def test_runs_side_by_side_share_the_threads(workers, threads, grid, tmp_path, monkeypatch):
    shared: list[tuple] = []

    def kept(_, arguments, **__):
        shared.extend(arguments)
        return []

    monkeypatch.setattr(campaign, "check_library", lambda *_: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    monkeypatch.setattr(campaign, "shared_out", kept)
    assert burst.main(["--grid", str(grid), "--work-dir", str(tmp_path / "work"), "--workers", str(workers)]) == 2
    assert {arguments[-1] for arguments in shared} == {threads}


def test_a_run_trains_with_the_threads_that_it_is_given(tmp_path, grid, monkeypatch):
    used: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    monkeypatch.setattr(run, "sole_training", lambda _: pytest.fail("far enough"))
    one = read_grid(grid)[0]
    with pytest.raises(pytest.fail.Exception):
        run.perform(one.words, one.command, tmp_path / "run", None, "cpu", 3)
    assert used == [3]


def test_an_interrupted_run_keeps_its_training_and_those_before_it(grid, tmp_path, monkeypatch):
    words = ["--grid", str(grid), "--series", "timesteps"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert burst.main([*words, "--work-dir", str(whole)]) == 0

    counted = []

    def interrupted(*arguments):
        counted.append(arguments)
        if len(counted) > 1:
            raise KeyboardInterrupt
        return content_of(*arguments)

    content_of = run.content_of
    monkeypatch.setattr(run, "content_of", interrupted)
    assert burst.main([*words, "--work-dir", str(broken)]) == 130
    monkeypatch.undo()
    first, second = read_grid(grid)[4:]
    assert FinishedRuns(broken / "report").of(first) is not None
    assert FinishedRuns(broken / "report").of(second) is None

    epochs: list[int] = []
    monkeypatch.setattr(Training, "run_epoch", noting(Training.run_epoch, lambda self: epochs.append(self.epoch)))
    assert burst.main([*words, "--work-dir", str(broken)]) == 0
    assert epochs == [], "all that was missing is what follows the last epoch"
    for each in (first, second):
        ours, theirs = (FinishedRuns(folder / "report").of(each) for folder in (whole, broken))
        assert ours is not None
        assert theirs is not None
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


def test_a_training_is_kept_until_its_figures_are(grid, tmp_path, monkeypatch):
    words = ["--grid", str(grid), "--series", "timesteps", "--work-dir", str(tmp_path)]

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(FinishedRuns, "add", interrupted)
    assert burst.main(words) == 130
    monkeypatch.undo()
    forgotten: list[object] = []
    monkeypatch.setattr(campaign, "forget", noting(run.forget, forgotten.append))
    epochs: list[int] = []
    monkeypatch.setattr(Training, "run_epoch", noting(Training.run_epoch, lambda self: epochs.append(self.epoch)))
    assert burst.main(words) == 0
    assert epochs == [0, 1], "the second training alone"
    assert len(forgotten) == 2
    assert not list(tmp_path.glob("*/model.pt.resume"))


def test_two_studies_keep_their_results_in_one_file(tmp_path):
    one, other = FinishedRuns(tmp_path), FinishedRuns(tmp_path)
    one.add({"command": "a", "accuracy": 0.5})
    other.add({"command": "b", "accuracy": 0.6})
    one.add({"command": "c", "accuracy": 0.7})
    assert [figures["command"] for figures in json.loads((tmp_path / "runs.json").read_text())] == ["a", "b", "c"]


def test_user_errors(grid, tmp_path, fails):
    words = ["--grid", grid, "--work-dir", tmp_path / "work"]
    assert "no series" in fails(burst.main, *words, "--series", "other")
    assert "--workers" in fails(burst.main, *words, "--workers", 0)
    assert "--report" in fails(burst.main, *words, "--report")
    assert "nowhere" in fails(burst.main, "--grid", tmp_path / "nowhere.toml")
    assert "--out" in fails(burst.main, *words, "--out", grid)
    (tmp_path / "runs.json").write_text("[{}]")
    assert "runs.json" in fails(burst.main, *words, "--out", tmp_path)


def test_a_network_is_drawn_once(grid):
    def point(series, runs):
        return Point(series=series, arm="binary", varied="", runs=tuple((each, {}) for each in runs))

    runs = read_grid(grid)
    all_seeds, one_seed, again = point("arms", runs[:2]), point("timesteps", runs[:1]), point("more", runs[1::-1])
    other = point("timesteps", runs[4:5])
    assert once([one_seed, all_seeds, again, other]) == [all_seeds, other]


def test_the_pareto_front():
    assert front([]) == []
    assert front([(3, 90.0), (1, 80.0), (2, 79.0), (3, 91.0), (4, 91.0), (5, 95.0)]) == [
        (1, 80.0),
        (3, 91.0),
        (5, 95.0),
    ]
