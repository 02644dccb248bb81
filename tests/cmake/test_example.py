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

    _reads_streets(example, tmp_path / "streets")
    file = tmp_path / "broken.ppm"
    file.write_bytes(b"P6 no")
    done = example.run(example.build / "read_plate", file, check=False)
    assert done.returncode == 1
    assert "not a PPM file" in done.stderr
    shutil.rmtree(example.build / "plates")  # the program holds all that it needs
    done = example.run(example.build / "read_plate", files[1])
    assert done.stdout.split() == expected[1:2]


def _reads_streets(example, folder):
    """A detector and the reader, one behind the other, read what `lprc run` reads."""
    from lprc.compiler.compile.model import compile_model
    from lprc.compiler.compile.request import compile_request
    from lprc.compiler.frames.execute import answer_one
    from lprc.compiler.frames.frame import Frame
    from lprc.compiler.frames.opened import opened
    from lprc.compiler.frames.read_pipeline import read_pipeline
    from lprc.compiler.frames.share import Share
    from lprc.core.tasks.image_files import read_image
    from lprc.models.plate_detector.scenes import street_scene

    folder.mkdir()
    detector, reader = example.build / "detector", example.build / "plates"
    model = EXAMPLE.parents[1] / "models" / "plate_detector.onnx"
    parts = ("preprocessing", "postprocessing")
    request = compile_request(model, "ov-fp32", detector, task="plate-detector", embed=parts)
    compile_model(request)
    for index in range(12):
        picture = Image.fromarray(street_scene(index, 3).image)
        picture = picture if index % 3 else picture.resize((1000, 700))
        picture.save(folder / f"{index:02}.ppm")
    (folder / "pipeline.toml").write_text(
        f'[models.detector]\nmodel = "{detector}"\n[models.reader]\nmodel = "{reader}"\n'
        '[[edges]]\nfrom = "detector"\nto = "reader"\nmargin = [0.06, 0.12]\n'
        "min-size = [16, 6]\nmin-score = 0.4\ntop-k = 5\n"
    )
    pipeline = read_pipeline(folder / "pipeline.toml")
    networks = opened(pipeline, {"detector": detector, "reader": reader}, Share(1, 1))
    expected = []
    for path in sorted(folder.glob("*.ppm")):
        answered = answer_one(Frame(str(path), 0, read_image(path)), networks)
        readings = [box.readings for box in answered.reading.shown_boxes()]
        texts = [item["reader"].text for item in readings if "reader" in item]
        expected.append(" ".join([f"{path}:", *texts]))
    edge = ["--margin", "0.06,0.12", "--min-size", "16,6", "--min-score", "0.4", "--top-k", "5"]
    done = example.run(example.build / "read_frames", *edge, detector, reader, folder)
    assert done.stdout.splitlines() == expected
    assert sum(len(line.split()) > 1 for line in expected) > 5

    wrong = {
        ("--margins", "1", detector, reader, folder): "--margins: no such option",
        ("--margin", "1", detector, reader, folder): "1: no two numbers",
        (detector, reader): "name DETECTOR READER",
        (reader, reader, folder): "no rows of found boxes",
        (folder, reader, folder): str(folder),
    }
    for arguments, message in wrong.items():
        done = example.run(example.build / "read_frames", *arguments, check=False)
        assert done.returncode == 1
        assert message in done.stderr
