"""The networks of the zoo, and what is asked of each."""
