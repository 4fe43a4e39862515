"""The table of readers; a new format is a new entry."""

import hashlib
import io
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boards.catalogue import find_board
from gen.emit.block_rams import load_blocks
from gen.frontend.origin import read_network
from gen.planning.plans import make_plan
from gen.reported import built_file, read_report
from hw.plan import load_plan
from qblif import golden
from qblif.network.coding import encode
from qblif.network.file import load_network, network_sha256, save_network
from qblif.network.graph import Network
from qblif.network.references import ReferenceVectors
from qblif.zoo import ZOO
from snn import checkpoint, quantization
from snn.architecture import ModelOptions
from snn.command import parse
from snn.datasets.data import Images
from snn.models import make_model
from snn.recipe import Recipe, recipe_of
from snn.training import Training, restore_state, resume_file
from studies.random_networks import dense_chain
from tests.fuzz.campaign import Reader
from tests.fuzz.data_readers import DATA_READERS
from tests.fuzz.mutators import BYTES, CHECKPOINT, JSON, SAFETENSORS
from tests.networks import random_convolutions


def networks(folder: Path) -> list[Path]:
    paths = []
    for seed in range(4):
        network = random_convolutions(seed) if seed else dense_chain(1)
        classes, shape = len(network.readout.bias), network.input.shape
        references = ReferenceVectors(
            samples=np.arange(2 * np.prod(shape)).astype(np.uint8).reshape(2, *shape),
            logits=np.arange(2 * classes).reshape(2, classes),
            labels=np.arange(2),
        )
        paths.append(folder / f"{seed}.safetensors")
        save_network(paths[-1], network, references)
    return paths


def plans(folder: Path) -> list[Path]:
    paths = []
    for seed in range(2):
        network = random_convolutions(8) if seed else dense_chain(1)
        paths.append(folder / f"{seed}.json")
        paths[-1].write_text(make_plan(network, find_board("arty_a7"), 100.0, "0" * 64, {}).to_json())
    return paths


def says_what_is_written(found: object, _: object, path: Path) -> bool:
    """A plan may be edited; then it is what the file says, number by number, and nothing in it is left out."""
    return typed(json.loads(str(found))) == typed(json.loads(path.read_bytes()))


def typed(value: object) -> object:
    """JSON in a form in which 1, 1.0 and true are different."""
    if isinstance(value, dict):
        return {key: typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [typed(one) for one in value]
    return (type(value).__name__, value)


def small_model() -> torch.nn.Module:
    torch.manual_seed(1)
    options = ModelOptions(input_shape=(1, 8, 8), channels=(3,), hidden=(5,), timesteps=2, classes=4)
    return make_model("cnn", options)


def small_images(count: int = 16) -> Images:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
    return Images(pixels=pixels, labels=np.arange(count) % 4)


def stream_checkpoint(path: Path) -> Path:
    torch.manual_seed(2)
    options = ModelOptions(
        input_shape=(3, 1, 1),
        coding="frames",
        classes=2,
        timesteps=5,
        stream=True,
        hidden=(4,),
        recurrent=(0,),
        threshold=0.75,
        current_leak=(3, 2),
        learn_leak=True,
        membrane_limits=(-2, 3),
        current_limits=(-4, 5),
        readout_leak=(7, 3),
        readout_limits=(-9, 9),
        readout_maximum=True,
    )
    stream = make_model("mlp", options)
    samples = torch.randint(0, 256, (16, 5, 3, 1, 1), dtype=torch.uint8)
    quantization.begin(stream, samples)
    content = checkpoint.describe(stream, samples, torch.zeros(16, dtype=torch.long))
    checkpoint.save_atomically(content | {"model": checkpoint.model_section("mlp", options)}, path)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """Two of the zoo's, with its skips and poolings; the smallest. And a recurrent stream with all that has limits."""
    paths = [stream_checkpoint(folder / "stream.pt")]
    for name in ("digits_mlp", "digits_resnet"):
        paths.append(folder / f"{name}.pt")
        paths[-1].write_bytes((ZOO / f"{name}.pt").read_bytes())
    return paths


def trained(path: Path) -> tuple[str, Network, ReferenceVectors]:
    _, network, references = read_network(path)
    return network_sha256(network, references), network, references


def same_or_replayed(found: Any, known: Any, _: Path) -> bool:
    """The same integers, or a network that prints every logit that its file says, by the golden model."""
    (name, network, references), (known_name, _, _) = found, known
    if name == known_name:
        return True
    logits = golden.run(network, encode(references.samples, network.input)).logits.numpy()
    return len(logits) > 0 and np.array_equal(logits, references.logits)


def model(path: Path) -> dict[str, bytes]:
    """Everything that a loaded model computes with."""
    loaded = checkpoint.load_model(path)
    return {key: value.numpy().tobytes() for key, value in loaded.state_dict().items()}


def holds_the_state_of_its_file(found: object, _: object, path: Path) -> bool:
    """A model may be edited; then its numbers are those in the file."""
    state = torch.load(io.BytesIO(path.read_bytes()), weights_only=True)["state"]
    fresh = {key: torch.as_tensor(value) for key, value in state.items()}
    kinds = {key: value.dtype for key, value in checkpoint.load_model(path).state_dict().items()}
    return found == {key: value.to(kinds[key]).numpy().tobytes() for key, value in fresh.items()}


def training() -> Training:
    recipe = Recipe(float_epochs=1, qat_epochs=1, batch=8, average=0.5)
    return Training(small_model(), recipe, small_images(), small_images(4), command="a command")


def states(folder: Path) -> list[Path]:
    """A state after the only float epoch."""
    begun = training()
    begun.run_epoch()
    begun.log.append((1, "float", "1.0", "0.5"))
    path = resume_file(folder / "model.pt")
    checkpoint.save_atomically(begun.state(), path)
    return [path]


def resumed(path: Path) -> bool:
    """Whether a training goes on from a state to its end."""
    fresh = training()
    restore_state(fresh, path.with_suffix(""))
    while fresh.epoch < fresh.recipe.epochs:
        fresh.run_epoch()
    return True


def recipes(folder: Path) -> list[Path]:
    paths = []
    for name in ("digits_mlp", "cifar10_cnn"):
        paths.append(folder / f"{name}.toml")
        paths[-1].write_text((ZOO / f"{name}.toml").read_text() + 'no_affine = true\nreset = "hard"\nseed = 3\n')
    return paths


def recipe(path: Path) -> dict[str, object]:
    options = parse(["--recipe", str(path), "--out", "model.pt"])
    recipe_of(options)
    return vars(options)


def has_the_values_of_its_file(found: Any, _: object, path: Path) -> bool:
    """Every value of the file is the option's, and what the file does not name is as usual."""
    content = tomllib.loads(path.read_text())
    usual = vars(parse(["--data", "digits", "--out", "model.pt"]))
    usual |= {"recipe": path, "data": None} | content
    if usual["first_weight_bits"] == usual["weight_bits"]:
        usual["first_weight_bits"] = None
    for name, value in (("burst_bits", 2), ("threshold", 0.5)):
        usual[name] = None if usual[name] == value else usual[name]
    return {key: str(value) for key, value in found.items()} == {key: str(value) for key, value in usual.items()}


def builds(folder: Path) -> list[Path]:
    """The report of a build folder with a bitstream."""
    (folder / "top.bit").write_bytes(b"bits")
    digest = hashlib.sha256(b"bits").hexdigest()
    report = {
        "board": "ulx3s_85f",
        "clock_mhz": 80.0,
        "cycles_expected": 1000.5,
        "fmax_mhz": None,
        "resources": {"lut": 1, "ff": 2, "bram": 0.5, "dsp": 0},
        "tools": {"amaranth": "0.5.8"},
        "bitstream": "top.bit",
        "network_sha256": "0" * 64,
        "plan_sha256": "1" * 64,
        "checkpoint_sha256": "2" * 64,
        "files": {"top.bit": digest},
        "layers": [{"name": "hidden_0"}],
    }
    (folder / "report.json").write_text(json.dumps(report))
    return [folder / "report.json"]


READ_OF_A_REPORT = ("board", "clock_mhz", "cycles_expected", "fmax_mhz", "resources", "tools", "network_sha256")


def report(path: Path) -> dict[str, object]:
    """What programs read, as gen.flash, gen.build --patch and sim.board do."""
    found = read_report(path.parent, (*READ_OF_A_REPORT, "bitstream"))
    find_board(found["board"])
    if found["bitstream"] is not None:
        found["bits"] = built_file(path.parent, found["bitstream"]).read_bytes()
    return found


def figures_of_the_file(found: Any, known: Any, path: Path) -> bool:
    """Figures may be edited, but the file that is flashed is the one that was built, or there is none."""
    written = json.loads(path.read_bytes())
    same_bits = found.pop("bits", None) in (None, known.get("bits", b"bits")) and found["bitstream"] in (
        None,
        "top.bit",
    )
    return same_bits and typed(found) == typed({key: written[key] for key in found})


def memories(folder: Path) -> list[Path]:
    rows = [
        {"path": f"layer.weights_{bank}", "columns": [0, 1, 5], "port_width": 8,
         "blocks": [{"cell": f"cell_{bank}", "place": "X1/Y2"}]}
        for bank in range(2)
    ]  # fmt: skip
    (folder / "memories.json").write_text(json.dumps(rows))
    return [folder / "memories.json"]


def lists_of_the_file(found: Any, _: object, path: Path) -> bool:
    """The blocks that the file names, and nothing is left out."""
    return typed(json.loads(json.dumps(found))) == typed(json.loads(path.read_bytes()))


def blocks(path: Path) -> list[dict[str, Any]]:
    return [
        {"path": one.path, "columns": list(one.columns), "port_width": one.port_width,
         "blocks": [{"cell": block.cell, "place": block.place} for block in one.blocks]}
        for one in load_blocks(path)
    ]  # fmt: skip


READERS = (
    *DATA_READERS,
    Reader(
        name="network.safetensors",
        samples=networks,
        read=lambda path: network_sha256(*load_network(path)),
        mutators=SAFETENSORS,
    ),
    Reader(
        name="plan.json",
        samples=plans,
        read=lambda path: load_plan(path).to_json(),
        mutators=JSON,
        right=says_what_is_written,
    ),
    Reader(name="checkpoint (gen)", samples=checkpoints, read=trained, mutators=CHECKPOINT, right=same_or_replayed),
    Reader(
        name="checkpoint (snn)",
        samples=checkpoints,
        read=model,
        mutators=CHECKPOINT,
        right=holds_the_state_of_its_file,
    ),
    Reader(name="OUT.resume", samples=states, read=resumed, mutators=CHECKPOINT),
    Reader(name="recipe", samples=recipes, read=recipe, mutators=BYTES, right=has_the_values_of_its_file),
    Reader(name="report.json", samples=builds, read=report, mutators=JSON, right=figures_of_the_file),
    Reader(name="memories.json", samples=memories, read=blocks, mutators=JSON, right=lists_of_the_file),
)
