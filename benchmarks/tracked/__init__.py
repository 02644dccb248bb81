"""What `asv` times over commits; each file is one subject."""
