"""The coverage campaign: holes are reported, inputs that close them are chosen, and the shipped networks have none."""

import itertools

import numpy as np
import pytest

from hw.configure import configure
from hw.coverage import CoverPoint
from qblif import golden
from sim.cover_points import cover
from studies import coverage, coverage_campaign, stimuli
from studies.coverage_report import Covered
from studies.random_networks import balanced
from tests.networks import engine_of, random_bursts, random_convolutions, random_plan
from tests.reference import current, scalar_run


def point(counts: dict[str, int], **options) -> CoverPoint:
    hits = np.array([list(counts.values())])
    return CoverPoint(place="layer", kind="beats", bins=tuple(counts), hits=hits, **options)


def one(points, explained) -> Covered:
    return Covered(name="digits_mlp", about="a network", inputs=1, points=points, explained=explained)


PLANTED = [point({"empty": 3, "with spikes": 0, "closing empty": 0}, unreachable={"closing empty": "nothing is empty"})]


@pytest.mark.parametrize(
    ("explained", "code", "line"),
    [
        ({}, 1, "hole: digits_mlp: layer, beats, with spikes"),
        ({("layer", "beats", "with spikes"): "a reason"}, 0, ""),
        (
            {("layer", "beats", "with spikes"): "a reason", ("layer", "beats", "empty"): "stale"},
            1,
            "a reason, but no hole: digits_mlp: layer, beats, empty",
        ),
    ],
)
def test_a_planted_hole_is_reported(explained, code, line, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(coverage_campaign, "run_case", lambda *_: one(PLANTED, explained))
    out = tmp_path / "coverage.md"
    assert coverage.main(["--networks", "digits_mlp", "--out", str(out)]) == code
    assert line in capsys.readouterr().err
    text = out.read_text()
    assert ("**open**" in text) == (not explained)
    assert "layer, beats: closing empty. proved: nothing is empty." in text
    assert ("explained: a reason" in text) == bool(explained)


def test_user_errors(fails, tmp_path):
    assert "digits_cnn" in fails(coverage.main, "--networks", "digits_cnn")
    assert "--out" in fails(coverage.main, "--out", tmp_path / "missing" / "coverage.md")


@pytest.mark.parametrize("seed", range(5))
def test_few_chosen_inputs_cover_what_all_cover(seed):
    network = random_convolutions(seed)
    config = configure(network, random_plan(network, seed))
    pool = np.concatenate([stimuli.extremes(network), stimuli.noise(network, seed)])
    points = stimuli.expected(config, network, pool)
    chosen = stimuli.choose(points, 3)
    again = cover(config, network, golden.run(network, pool[chosen]))
    assert [each.holes for each in again] == [each.holes for each in points]
    assert chosen[:3] == [0, 1, 2]
    assert len(chosen) < len(pool)


@pytest.mark.parametrize("seed", range(5))
def test_objectives_are_0_where_the_situation_is_met(seed):
    network = random_convolutions(seed)
    config = configure(network, random_plan(network, seed))
    pool = np.concatenate([stimuli.extremes(network), stimuli.noise(network, seed)[::8]])
    points = {(each.place, each.kind): each for each in stimuli.expected(config, network, pool)}
    place = points["readout", "first place"]
    assert ((stimuli.race(network)(pool) == 0) == (place.hits[:, place.bins.index("tied")] > 0)).all()
    for layer in config.layers:
        beats = points[layer.name, "beats"]
        if "sum of nothing" in beats.bins:
            met = beats.hits[:, beats.bins.index("sum of nothing")] > 0
            distances = np.concatenate([stimuli.silence(network, engine_of(layer))(one[np.newaxis]) for one in pool])
            assert ((distances == 0) == met).all()


def test_a_search_comes_to_a_situation_that_its_start_is_far_from():
    """A sum of the largest bursts is reached from noise; the same seed gives the same input."""
    network = random_convolutions(0)
    start = stimuli.noise(network, 1)[:8]
    wanted = network.input.burst_ceiling

    def missing(inputs):
        return (wanted - inputs[:, 0, 0, 0]).sum(axis=1)

    assert missing(start).min() > 0
    found = stimuli.search(network, start, missing, seed=1)
    assert missing(found)[0] == 0
    assert (found == stimuli.search(network, start, missing, seed=1)).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_balanced_network_has_a_mean_current_of_0(seed):
    network = random_convolutions(seed)
    inputs = random_bursts(network, 6, seed)
    even = balanced(network, inputs)
    runs = [scalar_run(even, inference) for inference in inputs]
    for target in even.targets:
        for channel in range(target.shape[0]):
            places = itertools.product(range(even.timesteps), *map(range, target.shape[1:]))
            found = [current(even, target, run.bursts, t, channel, y, x) for t, y, x in places for run in runs]
            assert abs(np.mean(found)) <= 0.5


@pytest.mark.slow
def test_shipped_networks_have_no_open_hole(tmp_path):
    out = tmp_path / "coverage.md"
    assert (
        coverage.main(["--networks", "digits_mlp", "digits_resnet", "--out", str(out), "--work-dir", str(tmp_path)])
        == 0
    )
    assert "**open**" not in out.read_text()
