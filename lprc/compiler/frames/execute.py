"""Frames through networks: decode, prepare, infer, crop, read; several frames at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from lprc.compiler.frames.crops import Crop, crops
from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.network import Network
from lprc.compiler.frames.opened import Networks
from lprc.compiler.frames.overlap import overlapped
from lprc.compiler.frames.results import Reading

Step = Callable[[Frame], None]


def answered(frames: Iterable[Frame], networks: Networks) -> Iterator[Frame]:
    """The frames in their order, each with what the networks say of it.

    Frames with an error pass through. As many are worked on at once as the networks' share of the
    cores says, and no more than twice as many are on their way.

    Args:
        frames: Taken in threads, by one at a time.
        networks: What runs on them.

    Raises:
        RunError: A network fails.
        DataError: Its outputs are not those of its task.
    """
    return overlapped(frames, _through(_steps(networks)), workers=networks.workers)


def answer_one(frame: Frame, networks: Networks) -> Frame:
    """The same for one frame, in this thread."""
    return _through(_steps(networks))(frame)


def _through(steps: Sequence[Step]) -> Callable[[Frame], Frame]:
    def go(frame: Frame) -> Frame:
        if frame.error is None:
            for step in steps:
                step(frame)
        return frame

    return go


def _steps(networks: Networks) -> list[Step]:
    steps: list[Step] = []
    for name, network in networks.networks.items():
        look = _whole(networks) if network is networks.first else _pieces(networks, name)
        steps += [look, _inference(network)]
    return steps


def _whole(networks: Networks) -> Step:
    """The step that prepares frames for the first network."""
    network, shown = networks.first, networks.shown(networks.first.name)

    def prepare(frame: Frame) -> None:
        frame.readings[network.name] = [Reading(network, frame.picture, shown=shown)]
        with frame.timed(f"{network.name}: prepare"):
            frame.batches[network.name] = network.prepare([frame.picture])

    return prepare


def _pieces(networks: Networks, name: str) -> Step:
    """The step that cuts out and prepares what a further network reads."""
    network, shown = networks.networks[name], networks.shown(name)

    def cut_and_prepare(frame: Frame) -> None:
        readings: list[Reading] = []
        with frame.timed(f"{name}: crop"):
            for parent, crop in pieces(frame, networks, name):
                matrix = parent.matrix @ crop.matrix
                reading = Reading(network, crop.image, matrix, shown=shown)
                parent.inner.setdefault(crop.index, {})[name] = reading
                readings.append(reading)
        frame.readings[name] = readings
        with frame.timed(f"{name}: prepare"):
            images = [reading.image for reading in readings]
            frame.batches[name] = network.prepare(images) if images else ()

    return cut_and_prepare


def pieces(frame: Frame, networks: Networks, name: str) -> Iterator[tuple[Reading, Crop]]:
    """What the edge into a network cuts out of a frame, each with the reading it is cut out of.

    Args:
        frame: With the answers of the network that the edge leaves.
        networks: With the edge; the network that it leads to need not be there.
        name: Of that network.
    """
    edge = networks.edge_to(name)
    classes: tuple[str, ...] = networks.networks[edge.source].task.classes  # type: ignore[attr-defined]
    for parent in frame.readings[edge.source]:
        boxes = parent.boxes
        assert boxes is not None  # the edge was checked
        for crop in crops(parent.image, boxes, edge, classes):
            yield parent, crop


def _inference(network: Network) -> Step:
    def infer(frame: Frame) -> None:
        batches = frame.batches.pop(network.name)
        with frame.timed(f"{network.name}: infer"):
            answers = network.infer(batches)
        for reading, answer in zip(frame.readings[network.name], answers, strict=True):
            reading.answer = answer

    return infer
