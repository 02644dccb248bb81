"""examples/cpp_openvino reads plates as lprc does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "cpp_openvino"


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a starved machine
def test_it_reads_what_python_reads(project, plates, tmp_path):
    openvino = pytest.importorskip("openvino.package_utils")
    from lprc.compiler.artifact.artifact import open_artifact
    from lprc.models.ctc import greedy_decode
    from lprc.models.images import load_image
    from lprc.models.plate_config import PlateConfig

    example = replace(project, source=EXAMPLE)
    inputs = [f"-DMODEL={project.source}/lprnet.onnx", f"-DCALIBRATION={project.source}/calib"]
    example.configure(f"-DOpenVINO_DIR={openvino.get_cmake_path()}", *inputs)
    example.make()

    images = sorted(plates.glob("*.jpg"))[:20]
    files = [tmp_path / f"{image.stem}.ppm" for image in images]
    for image, file in zip(images, files, strict=True):
        Image.open(image).convert("RGB").save(file)
    # With comments, as other programs write them.
    files[0].write_bytes(files[0].read_bytes().replace(b"P6\n", b"P6\n# a comment\n#\n", 1))
    found = example.run(example.build / "read_plate", *files).stdout.split()

    artefact = open_artifact(example.build / "plates")
    config = PlateConfig.named("synthetic")
    read = [artefact.run({"image": load_image(image, config)[None]})["logits"] for image in images]
    assert found == [greedy_decode(logits, config)[0] for logits in read]
    assert len(set(found)) > 15

    _refuses_what_is_no_plate(example, files[1], tmp_path)
    shutil.rmtree(example.build / "plates")  # the program holds all that it needs
    assert example.run(example.build / "read_plate", files[1]).stdout.split() == found[1:2]


def _refuses_what_is_no_plate(example, plate, tmp_path):
    whole = plate.read_bytes()
    broken = {
        "not a binary PPM": b"P5" + whole[2:],
        "ends too early": whole[:-1],
        "8 bits a channel": whole.replace(b"255", b"511", 1),
        "not 94x24": whole.replace(b"94 24", b"24 94", 1),
    }
    path = tmp_path / "broken.ppm"
    for message, data in broken.items():
        path.write_bytes(data)
        done = example.run(example.build / "read_plate", path, check=False)
        assert done.returncode == 1
        assert message in done.stderr
