"""Devices behind TVM's own tracker.

Servers register there (``python -m tvm.exec.rpc_server --tracker HOST:PORT --key KEY``), each under
a key; each worker of the pool asks the tracker for one of them whenever it has something to run.

A candidate that hangs ends with its session. One that crashes ends the whole server in TVM 0.27:
run it in a loop (``while true; do python -m tvm.exec.rpc_server …; done``).
"""

from __future__ import annotations

import socket

import tvm.rpc

from lprc.core.process.exchange import Failure
from lprc.targets.tvm_backend.measuring_pool import Tracker

_SECONDS = 5.0
_START = (
    "python -m tvm.exec.rpc_tracker --host 0.0.0.0 --port 9190; on each device: "
    "while true; do python -m tvm.exec.rpc_server --tracker HOST:PORT --key KEY; done"
)


def devices(tracker: Tracker) -> int:
    """How many servers the tracker has under the key, free or not.

    Raises:
        Failure: There is no tracker, or it has no such server.
    """
    try:
        socket.create_connection((tracker.host, tracker.port), _SECONDS).close()  # TVM waits 60 s
        session = tvm.rpc.connect_tracker(tracker.host, tracker.port)
        summary = session.summary()
        session.close()
    except (OSError, RuntimeError) as error:
        raise Failure(
            f"no tracker answers at {tracker.host}:{tracker.port}",
            option="rpc-tracker",
            hint=_START,
        ) from error
    keys = [str(server["key"]).removeprefix("server:") for server in summary["server_info"]]
    if tracker.key not in keys:
        tracked_keys = ", ".join(sorted(set(keys))) or "none"
        raise Failure(
            f"the tracker has no device '{tracker.key}' (it has: {tracked_keys})",
            option="rpc-key",
            hint=_START,
        )
    return keys.count(tracker.key)
