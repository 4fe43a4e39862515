"""Neurons of snnTorch and SpikingJelly against their integer form; the frameworks' own modules give the truth."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from qblif import golden
from qblif.errors import UserError
from snn.convert import neurons
from snn.convert.neurons import Reader, neuron_form
from studies.frameworks import __main__ as command
from studies.frameworks import page
from studies.frameworks.architectures import MODELS
from studies.frameworks.comparison import compare, framework_cases
from studies.frameworks.neurons import DYADIC, FORCED, GUARDED, OTHER, REFUSED, ilif, snntorch, spikingjelly
from tests.reference import scalar_run
from tests.test_imports import imported

LEAKY = snntorch("Leaky", 0.5, beta=0.5, threshold=0.75, reset_mechanism="zero")
DELAYED = snntorch("Leaky", 0.5, beta=0.75, reset_mechanism="subtract")
NODE = spikingjelly("LIFNode", v_reset=None)
LEARNED = {"learn_beta": True, "learn_threshold": True}


def name(neuron):
    return neuron.name


def module_of(neuron):
    pytest.importorskip(neuron.framework, reason="pip install 'qblif[frameworks]'")
    return neuron.module()


def refused(module, **options):
    with pytest.raises(UserError) as caught:
        neuron_form(module, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert type(module).__name__ in message
    return message


@pytest.mark.parametrize("neuron", DYADIC, ids=name)
def test_every_decision_is_the_framework_s(neuron):
    outcome = compare(neuron, neuron_form(module_of(neuron)), 2000)
    assert outcome.decisions >= 2000
    assert 0.1 < outcome.fired / outcome.decisions < 0.8
    assert outcome.different == 0
    assert outcome.different_float32 == 0


@pytest.mark.parametrize("neuron", OTHER, ids=name)
def test_another_decay_differs_rarely(neuron):
    module = module_of(neuron)
    form = neuron_form(module)
    outcome = compare(neuron, form, 2000)
    assert outcome.different < outcome.decisions / 5
    assert abs(form.decay.error) <= neurons.TOLERANCE


@pytest.mark.parametrize(("neuron", "form"), FORCED, ids=[neuron.name for neuron, _ in FORCED])
def test_a_refused_neuron_does_differ(neuron, form):
    module_of(neuron)
    outcome = compare(neuron, form, 2000)
    assert outcome.different > outcome.decisions / 100


@pytest.mark.parametrize("neuron", GUARDED, ids=name)
def test_guard_bits_are_needed(neuron):
    form = neuron_form(module_of(neuron))
    few, many = (compare(neuron, form, 20_000, guard_bits=bits).different for bits in (2, 16))
    assert few > many == 0


@pytest.mark.parametrize(("neuron", "firing"), [(LEAKY, "reached"), (DYADIC[15], "exceeded"), (DELAYED, "exceeded")])
def test_the_comparison_sees_another_firing_rule(neuron, firing):
    form = replace(neuron_form(module_of(neuron)), firing=firing)
    assert compare(neuron, form, 10_000).different > 0


@pytest.mark.parametrize(
    ("neuron", "rounding"),
    [
        (LEAKY, -1),
        (DELAYED, 16 - 12 - 1),
        (replace(DELAYED, options={"beta": 0.5}), 16 - 8 - 1),
        (replace(DELAYED, options={"beta": 1.0}), -1),
        (spikingjelly("IFNode"), 0),
        (NODE, 0),
        (ilif(2.0, 1.0, 4), 8),
    ],
    ids=lambda value: value if isinstance(value, int) else value.name,
)
def test_rounding_constants_of_the_law(neuron, rounding):
    assert neuron_form(module_of(neuron)).rounding(4) == rounding


def test_a_leak_finer_than_the_grid_has_no_rounding_constant():
    with pytest.raises(UserError, match="1 fraction bits are too few"):
        neuron_form(module_of(DELAYED)).rounding(1)


@pytest.mark.parametrize(("neuron", "words"), REFUSED, ids=[neuron.name for neuron, _ in REFUSED])
def test_refused(neuron, words):
    assert words in refused(module_of(neuron))


def test_learned_and_equal_values_are_read():
    plain = neuron_form(module_of(LEAKY))
    learned = snntorch("Leaky", beta=(0.5, 0.5, 0.5), threshold=(0.75,), reset_mechanism="zero", **LEARNED)
    assert neuron_form(learned.module()) == plain


def test_a_neuron_that_has_run_is_read_as_before():
    for neuron in (LEAKY, NODE):
        module = module_of(neuron)
        before = neuron_form(module)
        module(torch.ones(2, 3))
        assert neuron_form(module) == before


def test_another_framework_is_refused():
    assert "take one of snntorch or spikingjelly" in refused(torch.nn.ReLU())


def test_a_subclass_is_refused():
    subclass = type("Leaky", (type(module_of(LEAKY)),), {})
    assert "Leaky is not a neuron that can be converted" in refused(subclass(beta=0.5))


@pytest.mark.parametrize("neuron", [LEAKY, NODE], ids=name)
def test_an_unknown_attribute_is_refused(neuron):
    module = module_of(neuron)
    module.refractory = 3
    assert "attribute refractory is not known" in refused(module)


def test_an_older_neuron_is_refused():
    module = module_of(LEAKY)
    del module.reset_delay
    assert "attribute reset_delay is missing" in refused(module)


def test_a_reset_mechanism_loaded_into_another_neuron_is_refused():
    module = module_of(LEAKY)
    module.load_state_dict(replace(LEAKY, options={"beta": 0.5, "threshold": 0.75}).module().state_dict())
    assert "built with another reset_mechanism than 'subtract'" in refused(module)


def test_a_changed_reset_mechanism_is_refused():
    module = module_of(LEAKY)
    module.reset_mechanism = "subtract"
    assert "built with another reset_mechanism than 'subtract'" in refused(module)


def test_spikes_that_are_not_whole_are_refused():
    module = module_of(NODE)
    surrogates = pytest.importorskip("spikingjelly.activation_based.surrogate")
    module.surrogate_function = surrogates.Sigmoid(spiking=False)
    assert "surrogate_function does not make whole spikes" in refused(module)
    module = ilif(2.0, 1.0, 3).module()
    module.surrogate_function = surrogates.MultiLevelSpikeCount(3, spiking=False)
    assert "surrogate_function does not make whole spikes" in refused(module)


def test_random_spikes_are_refused():
    module = module_of(NODE)
    module.surrogate_function = pytest.importorskip("spikingjelly.activation_based.surrogate").PoissonPass()
    assert "surrogate_function does not make whole spikes" in refused(module)


def test_a_membrane_that_starts_elsewhere_is_refused():
    module = module_of(NODE)
    module.set_reset_value("v", 0.5)
    assert "the membrane starts at 0.5" in refused(module)


@pytest.mark.parametrize("kind", ["register_forward_pre_hook", "register_forward_hook"])
def test_hooks_are_refused(kind):
    module = module_of(LEAKY)
    hook = getattr(module, kind)(print)
    assert "a forward hook might change what it computes" in refused(module)
    hook.remove()
    assert neuron_form(module) == neuron_form(LEAKY.module())


def test_a_precision_of_its_own_is_refused():
    module = module_of(NODE)
    module._neuron_precision = (torch.float16, "fp32", "fp32")
    assert "a precision of its own is set" in refused(module)


def test_a_changed_ilif_is_refused():
    module = module_of(ilif(2.0, 1.0, 4))
    module.decay_input = True
    assert "v_reset or decay_input was changed" in refused(module)


def test_a_changed_tau_is_refused():
    module = module_of(NODE)
    module.tau = 0.5
    assert "tau 0.5 is not 1 or more" in refused(module)


def test_decays_by_brute_force():
    random = np.random.default_rng(1)
    for beta in (*random.random(60), 0.5, 0.25, 1 / 256, 1.0, 0.0):
        for tolerance in (2**-9, 0.01):
            reader = Reader(module=torch.nn.Identity(), label="a neuron", tolerance=tolerance)
            fractions = [Fraction(a, 2**p) for p in range(9) for a in range(2**p + 1)]
            near = [one for one in fractions if abs(one - Fraction(beta)) <= tolerance]
            near = [one for one in near if 0 < one < 1 or one == beta]
            exact = [one for one in near if one == Fraction(beta)]
            if not near:
                with pytest.raises(UserError, match="allow a larger tolerance"):
                    reader.decay(float(beta), "beta")
                continue
            leak = reader.decay(float(beta), "beta").leak
            smallest = min((exact or near), key=lambda one: (one.denominator, abs(one - Fraction(beta))))
            assert Fraction(leak.multiplier, 2**leak.shift) == smallest
            assert 2**leak.shift == smallest.denominator


def test_the_tolerance_decides_about_a_decay():
    module = module_of(snntorch("Leaky", beta=0.9, reset_mechanism="zero"))
    assert neuron_form(module, 0.05).decay.leak.shift == 3
    assert "no fraction a/2^p with p <= 8 is within 1e-06" in refused(module, tolerance=1e-6)


def test_the_converter_imports_no_framework():
    names = imported(Path(neurons.__file__))
    assert not [one for one in names if one.partition(".")[0] in ("snntorch", "spikingjelly", "nir")]


def test_small_cases_for_models_of_hardware():
    module_of(LEAKY)
    module_of(NODE)
    cases = list(framework_cases())
    assert len({case.name for case in cases}) == len(cases) == len(DYADIC)
    for case in cases:
        assert case.spikes.shape == (20, 8, 1, 1)
        assert case.spikes.any()
        assert case.ties or case.network.populations[0].current_leak is not None or "ILIFNode" in case.name
        assert np.array_equal(golden.run(case.network, case.bursts[None]).bursts["neurons"][0].numpy(), case.spikes)
        assert np.array_equal(scalar_run(case.network, case.bursts).bursts["neurons"], case.spikes)


def test_the_command_writes_its_page(tmp_path, monkeypatch):
    module_of(LEAKY)
    module_of(NODE)
    monkeypatch.setattr(page, "DYADIC", (LEAKY,))
    monkeypatch.setattr(page, "OTHER", (NODE,))
    monkeypatch.setattr(page, "GUARDED", (DELAYED,))
    chosen = [one for one in MODELS if one.name in ("tutorial_dense", "explicit_recurrence")]
    monkeypatch.setattr(page, "MODELS", chosen)
    assert command.main(["--out", str(tmp_path / "page.md"), "--decisions", "1000"]) == 0
    text = (tmp_path / "page.md").read_text()
    assert f"| {LEAKY.name} | 1/2 (0) | 1,000 |" in text
    assert "| tutorial_dense | snntorch | 2 | 7,200 |" in text
    assert "| explicit_recurrence | snntorch | | | | refused: lif1" in text
    assert all(neuron.name in text for neuron, _ in (*REFUSED, *FORCED))


def test_the_command_reports_a_difference(tmp_path, monkeypatch, capsys):
    module_of(LEAKY)
    module_of(NODE)
    monkeypatch.setattr(page, "DYADIC", (snntorch("Leaky", 0.5, beta=0.9),))
    monkeypatch.setattr(page, "OTHER", ())
    monkeypatch.setattr(page, "GUARDED", ())
    monkeypatch.setattr(page, "MODELS", [])
    assert command.main(["--out", str(tmp_path / "page.md"), "--decisions", "1000"]) == 1
    assert "decisions of neurons whose decays are small fractions" in capsys.readouterr().err


def test_the_command_needs_the_frameworks(tmp_path, fails, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    assert "pip install 'qblif[frameworks]'" in fails(command.main, "--out", tmp_path / "page.md")
    assert "cannot be written" in fails(command.main, "--out", tmp_path / "none" / "page.md")
