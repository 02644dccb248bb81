"""Embedded artefacts: what compilers make of the sources, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess

import onnx
import pytest

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.embed.write import FORMS, embed
from lprc.core.files.digest import sha256

PROGRAM = """\
#include <stdio.h>
#include "net.h"
int main(void) {
    net_file file = net_get(NET_FIRST_FILE);
    return fwrite(file.data, 1, file.size, stdout) != NET_MODEL_ONNX_SIZE ||
           net_get("no").data != NULL || file.data[file.size] != 0;
}
"""
COMPILERS = {"c99": ["cc", "-std=c99"], "c++11": ["c++", "-std=c++11", "-x", "c++"]}
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
MINGW = "x86_64-w64-mingw32-"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    graph = "g (float[2] x) => (float[2] y) { y = Relu(x) }"
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 20]> {graph}')
    onnx.save(model, folder / "net.onnx")
    compile_model(compile_request(folder / "net.onnx", "onnx", folder / "out"))
    return folder / "out"


@pytest.fixture
def artefact(compiled, tmp_path):
    return shutil.copytree(compiled, tmp_path / "ar tefact")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("language", COMPILERS)
@pytest.mark.parametrize("form", ["array", "object"])
def test_compilers_take_it(artefact, tmp_path, form, language):
    compiler = COMPILERS[language]
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]}")
    embed(artefact, tmp_path / "net.c", form=form)
    (tmp_path / "main.c").write_text(PROGRAM)
    assembler = ["-x", "assembler-with-cpp", tmp_path / "net.S"] if form == "object" else []
    run(
        *compiler,
        *STRICT,
        tmp_path / "main.c",
        tmp_path / "net.c",
        *assembler,
        "-o",
        tmp_path / "p",
    )
    assert run(tmp_path / "p").stdout == (artefact / "model.onnx").read_bytes()


def test_windows_tools_take_it(artefact, tmp_path):
    for tool in ("gcc", "windres"):
        if shutil.which(MINGW + tool) is None:
            pytest.skip(f"no {MINGW}{tool}")
    embed(artefact, tmp_path / "net.c", form="resource")
    (tmp_path / "main.c").write_text(PROGRAM)
    run(f"{MINGW}windres", tmp_path / "net.rc", "-O", "coff", "-o", tmp_path / "bytes.o")
    sources = [tmp_path / "main.c", tmp_path / "net.c", tmp_path / "bytes.o"]
    run(f"{MINGW}gcc", *STRICT, *sources, "-o", tmp_path / "p.exe")
    assert (artefact / "model.onnx").read_bytes() in (tmp_path / "p.exe").read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_the_same_bytes_each_time(artefact, tmp_path, form):
    files = embed(artefact, tmp_path / "net.c", form=form)
    first = [file.read_bytes() for file in files]
    assert embed(artefact / "manifest.json", tmp_path / "net.c", form=form) == files
    assert [file.read_bytes() for file in files] == first
    digest = json.loads((artefact / "manifest.json").read_text())["files"]["model.onnx"]["sha256"]
    assert digest not in files[1].read_text()  # the manifest's, which covers all files


def test_the_command_names_what_it_wrote(lprc, artefact, tmp_path):
    done = lprc(
        "embed", artefact, "-o", tmp_path / "a.cc", "--as", "object", "--symbol", "n", "--json"
    )
    names = [str(tmp_path / name) for name in ("a.cc", "a.h", "a.S")]
    assert json.loads(done.stdout) == {"written": names}
    assert "n_file n_get(" in (tmp_path / "a.h").read_text()


def test_what_is_refused(lprc, artefact, tmp_path):
    def refused(*arguments):
        done = lprc("embed", *arguments, check=False)
        assert not list(tmp_path.glob("net*"))
        return done.returncode, done.stderr

    code, message = refused(artefact, "-o", tmp_path / "net.h")
    assert (code, "no C or C++ source" in message) == (2, True)
    code, message = refused(artefact, "-o", tmp_path / "net.c", "--symbol", "2nd")
    assert (code, "'2nd' is no C identifier" in message) == (2, True)
    code, message = refused(tmp_path, "-o", tmp_path / "net.c")
    assert code == 3
    code, message = refused(artefact, "-o", tmp_path / "no" / "net.c")
    assert code == 9
    with (artefact / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    code, message = refused(artefact, "-o", tmp_path / "net.c")
    assert (code, "'model.onnx' is altered" in message) == (3, True)


def test_files_that_c_cannot_tell_apart(artefact, tmp_path):
    from lprc.core.errors import UsageError

    path = artefact / "manifest.json"
    manifest = json.loads(path.read_text())
    shutil.copy(artefact / "model.onnx", artefact / "model-onnx")
    manifest["files"]["model-onnx"] = manifest["files"]["model.onnx"]
    manifest["deployed"].append("model-onnx")
    path.write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="would both be net_model_onnx"):
        embed(artefact, tmp_path / "net.c")


def test_what_a_program_must_know_goes_with_it(artefact, tmp_path):
    assert "deployment.json" not in _header(artefact, tmp_path)
    manifest = artefact / "manifest.json"
    document = json.loads(manifest.read_text())
    (artefact / "deployment.json").write_text("{}")
    entry = {"sha256": sha256(artefact / "deployment.json"), "bytes": 2}
    document["files"]["deployment.json"] = entry
    manifest.write_text(json.dumps(document))
    assert 'NET_FILE_NAMES {"model.onnx", "deployment.json"}' in _header(artefact, tmp_path)


def _header(artefact, folder):
    _, header = embed(artefact, folder / "net.c")
    return header.read_text()
