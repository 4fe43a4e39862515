"""RGB LEDs as ordinary LEDs, for the harness."""

from typing import Any

from amaranth.build import Resource


def with_rgb_leds(platform: Any, colours: str, first: int = 0) -> Any:
    """The platform class with more ``led`` resources.

    Args:
        platform: a platform class that has ``rgb_led`` resources.
        colours: which of them become LEDs, in order: number of the RGB LED and colour, such as ``"0b 0g 1r"``.
        first: number of the first new LED.
    """
    rgb_leds = {resource.number: resource for resource in platform.resources if resource.name == "rgb_led"}
    resources = list(platform.resources)
    for number, colour in enumerate(colours.split(), start=first):
        rgb_led = rgb_leds[int(colour[:-1])]
        pin = next(signal for signal in rgb_led.ios if signal.name == colour[-1])
        resources.append(Resource("led", number, *pin.ios, rgb_led.attrs))
    return type(platform.__name__, (platform,), {"resources": resources})
