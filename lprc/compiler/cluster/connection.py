"""The workers of a Dask cluster: what they are sent and answer, and what happens without them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lprc.compiler.cache.surroundings import machine
from lprc.compiler.cluster.parcels import Parcel, unpacked
from lprc.core.errors import MachineError, MissingDependencyError, UsageError
from lprc.core.process.installed import is_installed

CONNECT_SECONDS = 20

GONE_SECONDS = 60.0
"""How long a task waits for a worker that could do it, where there is none any more."""

_LOOK_SECONDS = 2.0

_SENDS = 4
"""How often files are sent where a worker is lost meanwhile."""


class WorkersLostError(MachineError):
    """Several workers died over one task, or there is none left that could do it."""


class Cluster:
    """The workers behind a scheduler.

    A parcel's files go to each worker once. What a lost worker was at is done again by another.

    Args:
        scheduler: Its address.
        parcel: The files that all tasks need.

    Raises:
        MissingDependencyError: Dask is not installed.
        UsageError: No scheduler answers, or it has no workers.
    """

    def __init__(self, scheduler: str, parcel: Parcel) -> None:
        if not is_installed("distributed"):
            raise MissingDependencyError(
                "Dask is not installed", where="--scheduler", hint='pip install "lprc[cluster]"'
            )
        self._scheduler, self._parcel = scheduler, parcel
        self._client = _connected(scheduler)
        self._holders: set[str] = set()
        self._payload: Any = None
        if not self.count:
            self.close()
            raise UsageError("it has no workers", where=scheduler, hint="dask worker ADDRESS")

    @property
    def count(self) -> int:
        """How many workers there are."""
        return len(self._workers())

    def submit(
        self, function: Callable[..., Any], *arguments: Any, resource: str | None = None
    ) -> Any:
        """Let a worker call ``function(payload, digest, *arguments)``; a future of what it returns.

        Args:
            function: At the top of a module; `in_parcel` tells it where the parcel's files are.
            arguments: What can be pickled.
            resource: One that the worker must have declared.
        """
        return self.submit_all(function, [arguments], resource=resource)[0]

    def submit_all(
        self,
        function: Callable[..., Any],
        rows: Iterable[Sequence[Any]],
        *,
        resource: str | None = None,
    ) -> list[Any]:
        """As `submit`, for several rows of arguments; workers are asked for once."""
        present = {*self._workers()}
        if self._payload is None or not present <= self._holders:
            self._payload = self._sent()
            self._holders = present
        resources = None if resource is None else {resource: 1}
        return [
            self._client.submit(
                function,
                self._payload,
                self._parcel.digest,
                *arguments,
                pure=False,
                resources=resources,
            )
            for arguments in rows
        ]

    def result(self, future: Any, resource: str | None = None) -> Any:
        """What a task returned.

        Args:
            future: Of `submit`.
            resource: As there.

        Raises:
            WorkersLostError: Workers died over it, or none is left that could do it.
            Exception: What the task raised.
        """
        self._wait(future, resource)
        failure = future.exception()
        if failure is None:
            return future.result()
        from distributed.scheduler import KilledWorker

        if isinstance(failure, KilledWorker):
            raise WorkersLostError(
                "the workers that it was tried on died", where=self._scheduler
            ) from failure
        raise failure

    def check_kinds(self) -> None:
        """See that latencies of any two workers compare.

        Raises:
            UsageError: They are different kinds of machines.
        """
        kinds = {tuple(kind) for kind in self.everywhere(machine).values()}
        if len(kinds) > 1:
            raise UsageError(
                f"its workers are {len(kinds)} kinds of machines, whose latencies do not compare",
                where=self._scheduler,
                hint="start those of one kind with --resources KIND=1, and give --measure-on KIND",
            )

    def everywhere(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        """What a function returns on each worker, by the workers' addresses."""
        answers: Mapping[str, Any] = self._client.run(function, *arguments)
        return answers

    def close(self) -> None:
        """Leave the cluster; its workers stay."""
        self._client.close()

    def _workers(self) -> dict[str, Any]:
        # Not `scheduler_info`: what it returns the client replaces now and then by one without any.
        identity = self._client.sync(self._client.scheduler.identity, n_workers=-1)
        return dict(identity["workers"])

    def _sent(self) -> Any:
        """The parcel on all workers; sent again where one is lost meanwhile.

        Raises:
            WorkersLostError: Several times.
        """
        for left in reversed(range(_SENDS)):
            try:
                return self._client.scatter(self._parcel.payload, broadcast=True)
            except OSError as error:
                if not left:
                    raise WorkersLostError(
                        f"workers are lost while files go to them: {error}", where=self._scheduler
                    ) from error
        raise AssertionError

    def _wait(self, future: Any, resource: str | None) -> None:
        from distributed import TimeoutError as DaskTimeoutError

        alone_since: float | None = None
        while True:
            try:
                future.exception(timeout=_LOOK_SECONDS)
            except DaskTimeoutError:
                pass
            else:
                return
            able = [
                worker
                for worker in self._workers().values()
                if resource is None or resource in worker["resources"]
            ]
            if able:
                alone_since = None
                continue
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > GONE_SECONDS:
                future.cancel()
                what = "all workers" if resource is None else f"all workers with '{resource}'"
                raise WorkersLostError(
                    f"{what} are gone", where=self._scheduler, hint="start others"
                )


def _connected(scheduler: str) -> Any:
    from distributed import Client

    try:
        client: Any = Client
        return client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"no scheduler answers: {first}", where=scheduler, hint="dask scheduler starts one"
        ) from error


# ---- on a worker

TURN = threading.Lock()
"""One task at a time: a worker with several threads would disturb its own latencies."""


def in_parcel(payload: bytes, digest: str) -> Path:
    """Where a parcel's files are on this worker; they are unpacked where they are not yet."""
    from distributed import get_worker

    return unpacked(payload, digest, Path(get_worker().local_directory) / "lprc-parcels")
