"""Arrays from files that may be anything."""

from __future__ import annotations

import numpy as np
import pytest

from lprc.core.errors import DataError
from lprc.core.files.array_files import read_arrays


def test_arrays_come_back_by_name(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.arange(3), b=np.ones((2, 2), np.float32))
    found = read_arrays(tmp_path / "x.npz")
    assert sorted(found) == ["a", "b"]
    assert found["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("data", [b"", b"nothing", b"PK\x03\x04 and no more"])
def test_other_files_are_refused(tmp_path, data):
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"x\.npz: not an \.npz file"):
        read_arrays(tmp_path / "x.npz")


def test_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([object()]))
    with pytest.raises(DataError, match="allow_pickle"):
        read_arrays(tmp_path / "x.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.npz"):
        read_arrays(tmp_path / "none.npz")
