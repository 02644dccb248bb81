"""A worker that is asked by one file and answers by another."""

from __future__ import annotations

import textwrap

import pytest

from lprc.core.errors import UsageError
from lprc.core.process.exchange import ask
from lprc.core.process.worker import WorkerError

WORKER = """
    import os, sys
    from lprc.core.errors import LprcError
    from lprc.core.process.exchange import Failure, serve

    def build(request):
    {BODY}

    sys.exit(serve("It builds.", build))
"""


def asked(folder, body, **more):
    module = textwrap.dedent(WORKER).replace("{BODY}", textwrap.indent(body, "    "))
    (folder / "theirs.py").write_text(module)
    environment = {"PYTHONPATH": str(folder)}
    settings = {"source": "m.onnx", "time_limit": 60, "environment": environment, **more}
    return ask("Theirs", "theirs", {"number": 20}, folder, **settings)


def test_a_request_goes_there_and_a_report_comes_back(tmp_path):
    assert asked(tmp_path, "return {'twice': 2 * request['number'], 'ö': 'ü'}") == {
        "twice": 40,
        "ö": "ü",
    }


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("raise Failure('too odd', hint='cut it')", WorkerError, "m.onnx: too odd .cut it"),
        ("raise Failure('too odd', where=\"node 'n'\")", WorkerError, "too odd at node 'n' .else"),
        ("raise Failure('no such CPU', option='mcpu')", UsageError, "mcpu: no such CPU"),
        ("raise LprcError('no form', where=\"node 'n'\")", WorkerError, "no form at node 'n'"),
        ("raise ValueError('their reason')", WorkerError, "Theirs failed: ValueError: their"),
        ("os._exit(0)", WorkerError, "m.onnx: Theirs ended without a result"),
    ],
)
def test_what_went_wrong_is_said(tmp_path, body, kind, text):
    with pytest.raises(kind, match=text):
        asked(tmp_path, body, instead="else what")
