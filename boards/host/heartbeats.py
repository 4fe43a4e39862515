"""A record of the MIT-BIH Arrhythmia Database, played to a device beat by beat."""

import time
from pathlib import Path

from boards.host.device import Device
from boards.host.samples import by
from qblif.errors import UserError
from qblif.heartbeats import CONTEXT, FEATURES, features


def play(device: Device, path: Path, *, real: bool, most: int) -> None:
    """Print the class of every beat that is not normal, by the network or by the annotations, and how many agree.

    Args:
        device: with a network for heartbeats.
        path: of the record, without suffix: ``FOLDER/100``.
        real: give the device every beat when the beat behind it is there, which its features need.
        most: beats to play.

    Raises:
        UserError: the record cannot be read, or the network takes something else.
    """
    from snn.datasets.mitbih import CLASSES, RATE, read_record

    record, identity = read_record(path.parent, path.name), device.identity
    if identity.shape not in ((1, 1, CONTEXT), (1, 1, FEATURES)) or identity.classes != len(CLASSES):
        raise UserError(
            f"the network takes {by(identity.shape)} and has {identity.classes} classes; one for heartbeats takes "
            f"{CONTEXT} or {FEATURES} features and has {len(CLASSES)}"
        )
    coded = features(record.samples, record.peaks)[:most, : identity.shape[2]]
    begin, right = time.monotonic(), 0
    for place, beat in enumerate(coded):
        if real:
            known = record.peaks[min(place + 1, len(record.peaks) - 1)] / RATE
            time.sleep(max(0.0, begin + known - time.monotonic()))
        said = int(device.infer(beat.reshape(1, *identity.shape)).winners[0])
        label = int(record.classes[place])
        right += said == label
        if said or label:
            print(f"{record.peaks[place] / RATE:.3f} s: {CLASSES[said]}, annotated {CLASSES[label]}", flush=True)
    print(f"{len(coded)} beats, {right} as annotated ({right / len(coded):.2%}); {device.retries} retries")
