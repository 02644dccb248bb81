"""Run model.so once on zeros.

pip install apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.14.post1
"""

import json
import os
from pathlib import Path

import numpy as np

folder = Path(__file__).parent
interface = json.loads((folder / "interface.json").read_text())
# Before TVM is loaded: by itself it takes half of the CPUs that the system shows.
os.environ.setdefault("TVM_NUM_THREADS", str(interface["threads"]))

import tvm  # noqa: E402
from tvm import relax  # noqa: E402

machine = relax.VirtualMachine(tvm.runtime.load_module(str(folder / "model.so")), tvm.cpu())
inputs = [np.zeros(each["shape"], each["dtype"]) for each in interface["inputs"]]
results = machine["main"](*map(tvm.runtime.tensor, inputs))
outputs = [results] if len(interface["outputs"]) == 1 else list(results)
for each, output in zip(interface["outputs"], outputs, strict=True):
    print(each["name"], output.numpy().shape, output.numpy().dtype)
