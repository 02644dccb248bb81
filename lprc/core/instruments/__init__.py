"""What is done around passes and not inside them: verifying, timing, snapshots, progress."""
