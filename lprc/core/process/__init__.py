"""Processes, threads and modules: vendor code apart, one BLAS thread, what is installed."""
