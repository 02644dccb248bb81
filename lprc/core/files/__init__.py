"""Files and folders: whole or not at all, hashed, read from anywhere."""
