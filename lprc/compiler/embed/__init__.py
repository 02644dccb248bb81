"""Artefacts inside programs: C sources, an assembler file or a Windows resource."""
