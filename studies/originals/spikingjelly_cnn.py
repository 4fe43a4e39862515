"""A smaller relative of SpikingJelly's CSNN for Fashion-MNIST: two convolutions with batch normalization, IF neurons
and max pooling of spikes, then two dense layers with IF neurons. The current of a pixel is its byte / 255, the same in
every timestep; the answer is the neuron with the highest firing rate."""

from pathlib import Path

from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn
from torch.nn.functional import mse_loss, one_hot

from studies.originals import training
from studies.originals.training import Original, Recipe


class CSNN(nn.Module):
    """The network; ``timesteps`` is T, ``channels`` those of each convolution, ``hidden`` the size of a layer."""

    def __init__(self, timesteps: int, channels: list[int], hidden: int) -> None:
        super().__init__()
        self.timesteps = timesteps
        first, second = channels
        self.conv_fc = nn.Sequential(
            layer.Conv2d(1, first, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(first),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),  # 14 x 14
            layer.Conv2d(first, second, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(second),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),  # 7 x 7
            layer.Flatten(),
            layer.Linear(second * 7 * 7, hidden, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.Linear(hidden, 10, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )
        functional.set_step_mode(self, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        """The firing rate of every class, (B, 10)."""
        x_seq = x.unsqueeze(0).expand(self.timesteps, -1, -1, -1, -1)
        rates: Tensor = self.conv_fc(x_seq).mean(0)
        return rates


def firing_rates(network: nn.Module, images: Tensor) -> Tensor:
    """The firing rate of every class, (B, 10), from rest."""
    functional.reset_net(network)
    rates: Tensor = network(images)
    return rates


def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Mean square of the firing rates' distance from 1 for the right class and 0 for the others."""
    return mse_loss(firing_rates(network, images), one_hot(labels, 10).float())


ORIGINAL = Original(
    framework="spikingjelly",
    options={"timesteps": 4, "channels": [16, 32], "hidden": 64},
    build=CSNN,
    scores=firing_rates,
    loss=loss,
    recipe=Recipe(epochs=5, batch=64, learning_rate=5e-3),
)


def load(path: Path) -> nn.Module:
    """The trained network in a file, in evaluation mode; raises UserError."""
    return training.load(ORIGINAL, path)
