"""A process that builds an engine with TensorRT-RTX, without a GPU, and prints its layers.

Its own process, because TensorRT keeps one logger a process and may crash it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

LAYER = re.compile(
    r"Name: (\S+), LayerType: (\w+), Inputs: (.*), Constants: .*, Outputs: (.*), TacticName: "
)


def main(path: str) -> None:
    import tensorrt_rtx as trt

    class Log(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity, message) -> None:
            self.lines += message.splitlines()

    log = Log()
    builder = trt.Builder(log)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(Path(path).read_bytes()):
        sys.exit("; ".join(str(parser.get_error(index)) for index in range(parser.num_errors)))
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    profile = builder.create_optimization_profile()
    image = network.get_input(0)
    shape = [1 if size < 0 else size for size in image.shape]
    profile.set_shape(image.name, shape, shape, [max(4, shape[0]), *shape[1:]])
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        sys.exit("no engine")
    layers = [match.groups() for line in log.lines if (match := LAYER.match(line))]
    print(
        json.dumps(
            {
                "bytes": engine.nbytes,
                "layers": [
                    {
                        "type": kind,
                        "inputs": re.findall(r"Datatype: (\w+)", inputs),
                        "outputs": re.findall(r"Datatype: (\w+)", outputs),
                    }
                    for _, kind, inputs, outputs in layers
                ],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
