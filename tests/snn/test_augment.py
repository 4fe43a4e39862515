import pytest
import torch

from snn.augment import Augmentation


def images(count: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 2, 9, 7), dtype=torch.uint8, generator=generator)


def test_nothing_asked_for_changes_nothing():
    assert torch.equal(Augmentation()(images(), torch.Generator()), images())


def test_flips_half_of_the_images():
    changed = Augmentation(flip=True)(images(), torch.Generator().manual_seed(2))
    kinds = [
        "same" if torch.equal(new, old) else "mirrored" if torch.equal(new, old.flip(2)) else "other"
        for new, old in zip(changed, images(), strict=True)
    ]
    assert "other" not in kinds
    assert 8 <= kinds.count("mirrored") <= 32


def test_shifts_every_image_on_its_own_and_brings_in_zeros():
    changed = Augmentation(shift=2)(images(), torch.Generator().manual_seed(2))
    padded = torch.nn.functional.pad(images(), (2, 2, 2, 2))
    places = set()
    for new, old in zip(changed, padded, strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if torch.equal(new, old[:, y : y + 9, x : x + 7])]
        assert len(found) == 1
        places |= set(found)
    assert len(places) > 10


@pytest.mark.parametrize("options", [{"rotate": 15.0}, {"stretch": 0.2}, {"rotate": 10.0, "shift": 1, "stretch": 0.1}])
def test_turning_and_stretching_keep_most_of_the_light(options):
    flat = torch.zeros(30, 1, 20, 20, dtype=torch.uint8)
    flat[:, :, 6:14, 6:14] = 200
    changed = Augmentation(**options)(flat, torch.Generator().manual_seed(3))
    assert changed.dtype == torch.uint8
    assert not torch.equal(changed, flat)
    light = changed.float().sum(dim=(1, 2, 3)) / flat[0].float().sum()
    assert ((light > 0.5) & (light < 1.7)).all()


def test_the_same_generator_gives_the_same_images():
    augmentation = Augmentation(flip=True, shift=1, rotate=5.0, stretch=0.1)
    one, other = (augmentation(images(), torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, other)
