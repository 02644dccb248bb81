"""What lies in an artefact, and how it is written, read and checked."""
