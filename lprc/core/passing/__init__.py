"""Passes and what runs them: contract, pipeline, manager."""
