"""What knows about graphs, passes and targets in general, and never about one of them."""
