"""One pipeline over the values of an option."""
