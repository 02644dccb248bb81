"""One compile from source file to artefact."""
