import pytest
import torch
from torch import nn

from snn.averaging import WeightAverage


def test_the_average_is_the_recursion_by_hand():
    model = nn.Linear(1, 1, bias=False)
    calls = torch.tensor(0)
    model.register_buffer("calls", calls)
    with torch.no_grad():
        model.weight.fill_(2.0)
    average = WeightAverage(model, 0.4)
    expected = 2.0
    for step, value in enumerate((5.0, -1.0, 3.0, 3.0)):
        with torch.no_grad():
            model.weight.fill_(value)
        calls += 1
        average.follow(model)
        decay = min(0.4, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.model.state_dict()["weight"].item() == pytest.approx(expected)
        assert int(average.model.state_dict()["calls"]) == step + 1
    again = WeightAverage(model, 0.4)
    again.restore(average.state())
    for one in (average, again):
        one.follow(model)
    assert again.model.state_dict()["weight"].item() == average.model.state_dict()["weight"].item()


@pytest.mark.parametrize("change", [{"steps": True}, {"steps": 1.0}, {"model": [1]}, {"model": None}])
def test_what_is_not_a_state_is_refused(change):
    average = WeightAverage(nn.Linear(1, 1), 0.4)
    with pytest.raises(TypeError, match="not a number of steps"):
        average.restore(average.state() | change)
