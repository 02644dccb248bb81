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
    from lprc.core.tasks.image_files import read_image

    example = replace(project, source=EXAMPLE)
    inputs = [f"-DMODEL={project.source}/lprnet.onnx", f"-DCALIBRATION={project.source}/calib"]
    example.configure(f"-DOpenVINO_DIR={openvino.get_cmake_path()}", *inputs)
    example.make()

    images = sorted(plates.glob("*.jpg"))[:20]
    files = [tmp_path / f"{image.stem}.ppm" for image in images]
    for number, (image, file) in enumerate(zip(images, files, strict=True)):
        picture = Image.open(image).convert("RGB")
        # Half of them in another size, which both scale back.
        picture = picture.resize((211, 67)) if number % 2 else picture
        picture.save(file)

    artefact = open_artifact(example.build / "plates")
    task = artefact.task

    def python_reads(file):
        outputs = artefact.run({"image": task.input.array(read_image(file))[None]})
        return task.answers(outputs, [None])[0]

    expected = [python_reads(file) for file in files]
    assert example.run(example.build / "read_plate", tmp_path).stdout.split("\n")[:-1] == expected
    assert len(set(expected)) > 15

    file = tmp_path / "broken.ppm"
    file.write_bytes(b"P6 no")
    done = example.run(example.build / "read_plate", file, check=False)
    assert done.returncode == 1
    assert "not a PPM file" in done.stderr
    shutil.rmtree(example.build / "plates")  # the program holds all that it needs
    done = example.run(example.build / "read_plate", files[1])
    assert done.stdout.split() == expected[1:2]
