"""The parts of ``benchmarks/published.py``: rows, artefacts, latencies, the page, the plots."""
