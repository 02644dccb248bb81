"""What earlier compiles left behind, so that the same work is not done twice."""
