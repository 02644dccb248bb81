"""What test_warm_child.py calls in another process."""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from pathlib import Path

import numpy as np


def number():
    return os.getpid()


def double(value):
    return value * 2


def talk():
    print("hello")
    print("there", file=sys.stderr)
    os.write(1, b"raw")
    return "done"


def refuse():
    raise ValueError("no good")


def crash(signal):
    os.kill(os.getpid(), signal)
    time.sleep(60)


def tells_of_faults():
    return faulthandler.is_enabled()


def leave(code):
    os._exit(code)


def wait(seconds):
    time.sleep(seconds)


def fill(size):
    return int(np.ones(size, np.uint8)[0])


def files():
    return [
        str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()
    ]
