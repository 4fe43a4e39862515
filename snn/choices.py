"""The names that options of a training can have, for its command line, which does not import what they name."""

MODELS = ("mlp", "cnn", "vgg_small", "resnet", "resnet18", "resnet19", "resnet20")
"""The keys of :data:`snn.models.MODELS`."""
SURROGATES = ("relsg_et", "box", "triangle", "arctan")
"""The keys of :data:`snn.surrogate.SURROGATES`."""
NEURONS: dict[str, dict[str, float]] = {
    "qblif": {"burst_bits": 2, "threshold": 0.5},
    "lif": {"burst_bits": 1, "threshold": 1.0},
}
"""The kinds of neurons, with their values of the options that depend on the kind."""
DEVICES = ("auto", "cpu", "cuda")
"""Where a training computes (:func:`snn.workers.device_of`)."""
