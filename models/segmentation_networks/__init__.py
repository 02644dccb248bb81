"""Networks that tell what each pixel shows, and their training."""
