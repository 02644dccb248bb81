"""BLAS has one thread while passes run, and as many as before behind them."""

from __future__ import annotations

import threading

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from lprc.core.process.blas_threads import one_blas_thread


def _threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_it_is_held_and_let_go():
    with threadpool_limits(limits=2, user_api="blas"):
        assert _threads() == {2}
        with one_blas_thread():
            assert _threads() == {1}
            with one_blas_thread():
                assert _threads() == {1}
            assert _threads() == {1}
        assert _threads() == {2}


def test_another_thread_that_leaves_first_does_not_let_go():
    def other():
        with one_blas_thread():
            assert _threads() == {1}

    with threadpool_limits(limits=2, user_api="blas"):
        with one_blas_thread():
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            assert _threads() == {1}
        assert _threads() == {2}
