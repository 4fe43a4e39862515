import math

import pytest
import torch

from snn.surrogate import burst_count, psi


def test_bursts_round_half_up_and_saturate():
    u = torch.tensor([-9.0, -0.51, -0.5, 0.49, 0.5, 1.5, 2.5, 3.49, 9.0])
    assert burst_count(u, 3).tolist() == [0, 0, 0, 0, 1, 2, 3, 3, 3]


@pytest.mark.parametrize("alpha", [0.5, 2.0, math.inf])
def test_gradient_is_one_inside_with_exponential_tails(alpha):
    u = torch.tensor([-2.0, -0.25, 0.0, 1.3, 3.0, 3.5, 8.0], requires_grad=True)
    burst_count(u, 3, alpha).sum().backward()
    assert u.grad is not None
    expected = [1.0 if 0 <= x <= 3 else math.exp(-alpha * (-x if x < 0 else x - 3)) for x in u.tolist()]
    assert u.grad.tolist() == pytest.approx(expected)
    assert psi(u.detach(), 3, alpha).tolist() == pytest.approx(expected)


def test_gradient_to_the_scale():
    # o = s * n(H / s): do/ds = n - u * psi(u).
    for potential in (-0.3, 0.2, 0.9, 4.0):
        scale = torch.tensor(0.4, requires_grad=True)
        u = potential / scale
        (scale * burst_count(u, 3, 2.0)).backward()
        n = burst_count(u.detach(), 3)
        assert scale.grad is not None
        assert float(scale.grad) == pytest.approx(float((n - u * psi(u, 3, 2.0)).detach()), rel=1e-5)
