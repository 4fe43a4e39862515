import math

import pytest
import torch

from qblif.errors import UserError
from snn.surrogate import SURROGATES, Surrogate, burst_count


def test_bursts_round_half_up_and_saturate():
    u = torch.tensor([-9.0, -0.51, -0.5, 0.49, 0.5, 1.5, 2.5, 3.49, 9.0])
    assert burst_count(u, 3).tolist() == [0, 0, 0, 0, 1, 2, 3, 3, 3]


def relsg_et(x: float, ceiling: int, alpha: float) -> float:
    return 1.0 if 0 <= x <= ceiling else math.exp(-alpha * (-x if x < 0 else x - ceiling))


def nearest(x: float, ceiling: int) -> float:
    return min(abs(x - (k - 0.5)) for k in range(1, ceiling + 1))


BY_HAND = {
    "relsg_et": relsg_et,
    "box": lambda x, ceiling, _: float(0 <= x <= ceiling),
    "triangle": lambda x, ceiling, _: max(0.0, 1 - nearest(x, ceiling)),
    "arctan": lambda x, ceiling, alpha: 1 / (1 + (math.pi / 2 * alpha * nearest(x, ceiling)) ** 2),
}


@pytest.mark.parametrize("alpha", [0.5, 2.0])
@pytest.mark.parametrize("ceiling", [1, 3, 7])
@pytest.mark.parametrize("name", SURROGATES)
def test_gradient(name, ceiling, alpha):
    u = torch.tensor([-2.0, -0.25, 0.0, 0.5, 0.9, 1.0, 1.3, 3.0, 3.5, 6.9, 8.0], requires_grad=True)
    burst_count(u, ceiling, Surrogate(name=name, alpha=alpha)).sum().backward()
    assert u.grad is not None
    assert u.grad.tolist() == pytest.approx([BY_HAND[name](x, ceiling, alpha) for x in u.tolist()])


@pytest.mark.parametrize("name", SURROGATES)
def test_gradient_to_the_scale(name):
    # o = s * n(H / s): do/ds = n - u * psi(u).
    surrogate = Surrogate(name=name)
    for potential in (-0.3, 0.2, 0.9, 4.0):
        scale = torch.tensor(0.4, requires_grad=True)
        u = potential / scale
        (scale * burst_count(u, 3, surrogate)).backward()
        n = burst_count(u.detach(), 3)
        assert scale.grad is not None
        assert float(scale.grad) == pytest.approx(float((n - u * surrogate.derivative(u, 3)).detach()), rel=1e-5)


def test_a_surrogate_that_does_not_exist_is_named():
    with pytest.raises(UserError, match="sigmoid"):
        Surrogate(name="sigmoid")
