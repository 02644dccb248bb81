"""The best artefacts for a budget."""
