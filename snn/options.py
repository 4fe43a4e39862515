"""The options of ``python -m snn.train``."""

import argparse
from pathlib import Path

from snn.choices import DEVICES, MODELS, NEURONS, SURROGATES
from snn.recipe import Recipe
from snn.values import LeakOption, leak_of, width_of

LIMITS = ("LOW", "HIGH")


def add_model_options(to: argparse.ArgumentParser) -> None:
    """Add the options of the model."""
    add = to.add_argument_group("model").add_argument
    add("--model", default="mlp", help=f"model: {', '.join(MODELS)} (default %(default)s)")
    add(
        "--hidden",
        type=width_of,
        nargs="*",
        default=None,
        help="neurons of each hidden dense layer; 36r are 36 that also read their own bursts of the previous timestep "
        "(default the model's)",
    )
    add("--channels", type=int, nargs="*", default=None, help="channels of each stage (default the model's)")
    add("--convolutions", type=int, nargs="*", default=[], help="convolutions of each stage (cnn; default one in each)")
    add(
        "--pooling",
        choices=("sum", "max"),
        default="sum",
        help="2x2 pooling behind each stage (cnn) (default %(default)s)",
    )
    add(
        "--timesteps",
        type=int,
        default=4,
        help="T; frames that the events of a recording are binned into; npz files have their own (default %(default)s)",
    )
    add(
        "--stream",
        action="store_true",
        help="timesteps come without end: state is kept, and every timestep has a result (default: samples of T "
        "timesteps, each with one result)",
    )
    add("--weight-bits", type=int, default=4, help="signed bits of a weight (default %(default)s)")
    add("--first-weight-bits", type=int, help="weight bits of the layer that reads the input (default --weight-bits)")
    add("--input-bits", type=int, default=4, help="bits of an input burst (default %(default)s)")
    add(
        "--guard-bits",
        type=int,
        default=0,
        help="fraction bits beyond those that the weights need, for states that leak slowly (default %(default)s)",
    )
    add("--no-affine", action="store_true", help="BatchNorm without trained gain and shift")
    add("--no-batch-norm", action="store_true", help="no BatchNorm, but a bias")
    add("--readout-leak", type=leak_of, help="share of its sum that a timestep leaves to the readout (default all)")
    add("--readout-limits", type=float, nargs=2, metavar=LIMITS, help="limits of that sum, in logits (default none)")
    add("--readout-maximum", action="store_true", help="the result is the largest sum so far, not the last")


def add_neuron_options(to: argparse.ArgumentParser) -> None:
    """Add the options of the neurons."""
    add = to.add_argument_group("neurons").add_argument
    add(
        "--neuron",
        choices=NEURONS,
        default="qblif",
        help="qblif: the scale s is learned, and a burst is worth s. lif: s is --theta, and a burst is worth 1 "
        "(default %(default)s)",
    )
    add("--burst-bits", type=int, help="b; a burst counts to 2^b - 1 (default 2; with --neuron lif 1)")
    add("--burst-ceiling", type=int, help="largest burst count K, if it is not 2^b - 1")
    add("--fixed-scale", action="store_true", help="keep each layer's first-batch scale instead of learning it (qblif)")
    add("--theta", type=float, default=1.0, help="scale of the neurons, which a soft reset takes off (lif)")
    add(
        "--threshold",
        type=float,
        help="potential of the first burst, in scales (default 0.5; with --neuron lif 1)",
    )
    add(
        "--fires-at",
        choices=("threshold", "above"),
        default="threshold",
        help="whether a burst begins at its threshold or only above it (default %(default)s)",
    )
    add(
        "--reset",
        choices=("soft", "hard"),
        default="soft",
        help="what a burst leaves of the membrane (default %(default)s)",
    )
    add(
        "--leak",
        type=leak_of,
        default=LeakOption(),
        help="share of the membrane that a timestep leaves: A/2^P, A/B or a decimal (default %(default)s)",
    )
    add(
        "--current-leak",
        type=leak_of,
        help="share that a timestep leaves of a synaptic current (default: there is none)",
    )
    add(
        "--learn-leak",
        action="store_true",
        help="train all leaks, the readout's too, in the float phase, beginning from the given ones",
    )
    add(
        "--membrane-limits",
        type=float,
        nargs=2,
        metavar=LIMITS,
        help="limits of the membrane, in scales (default none)",
    )
    add("--current-limits", type=float, nargs=2, metavar=LIMITS, help="limits of the current, in scales (default none)")
    add(
        "--surrogate",
        choices=SURROGATES,
        default="relsg_et",
        help="gradient of the burst count (default %(default)s)",
    )
    add("--alpha", type=float, default=2.0, help="steepness of that gradient (default %(default)s)")


def add_training_options(to: argparse.ArgumentParser) -> None:
    """Add the options of the training."""
    default = Recipe()
    add = to.add_argument_group("training").add_argument
    add("--float-epochs", type=int, default=default.float_epochs, help="epochs in floats (default %(default)s)")
    add(
        "--qat-epochs",
        type=int,
        default=default.qat_epochs,
        help="epochs on integers; 0 writes a float checkpoint (default %(default)s)",
    )
    add("--batch", type=int, default=default.batch, help="images per step (default %(default)s)")
    add(
        "--learning-rate",
        type=float,
        default=default.learning_rate,
        help="peak of the float phase (default %(default)s)",
    )
    add(
        "--qat-learning-rate",
        type=float,
        default=default.qat_learning_rate,
        help="peak of the integer phase (default %(default)s)",
    )
    add(
        "--truncate",
        type=int,
        default=default.truncate,
        help="with a label at every timestep: learn after so many timesteps, and keep the state but not its past "
        "(default %(default)s: after whole recordings)",
    )
    add("--clip", type=float, default=default.clip, help="largest norm of a gradient (default %(default)s: any)")
    add("--weight-decay", type=float, default=default.weight_decay, help="on weights only (default %(default)s)")
    add(
        "--label-smoothing",
        type=float,
        default=default.label_smoothing,
        help="of the cross-entropy (default %(default)s)",
    )
    add(
        "--temperature",
        type=float,
        default=default.temperature,
        help="by which logits are divided in the loss, as a mean over time; spike counts need less than 1 (default "
        "%(default)s)",
    )
    add(
        "--balance",
        type=float,
        default=default.balance,
        help="weigh the loss of a class by this power of how rare it is; 1 makes all classes count alike (default "
        "%(default)s)",
    )
    add("--flip", action="store_true", help="augment: mirror training images left to right at random")
    add(
        "--shift",
        type=int,
        default=default.shift,
        help="augment: shift training images by up to so many pixels (default %(default)s)",
    )
    add(
        "--rotate",
        type=float,
        default=default.rotate,
        help="augment: turn them by up to so many degrees (default %(default)s)",
    )
    add(
        "--stretch",
        type=float,
        default=default.stretch,
        help="augment: stretch or shrink them by up to this share (default %(default)s)",
    )
    add("--teacher", type=Path, default=None, help="checkpoint of a trained network to learn from as well")
    add(
        "--distillation",
        type=float,
        default=default.distillation,
        help="with --teacher: share of the loss that follows the teacher's answers (default %(default)s)",
    )
    add(
        "--average",
        type=float,
        default=default.average,
        help="decay a step of a moving average of the weights, which is then what is tested and written (default "
        "%(default)s)",
    )
    add(
        "--like",
        type=Path,
        default=None,
        help="checkpoint of the same architecture whose fraction bits are kept, so that gen.build --patch can put this "
        "network into its hardware",
    )
    add("--seed", type=int, default=default.seed, help="seed of weights and order (default %(default)s)")
    add(
        "--device",
        choices=DEVICES,
        default="auto",
        help="auto: a GPU where torch finds one (default %(default)s)",
    )
    add("--resume", action="store_true", help="continue from OUT.resume")
