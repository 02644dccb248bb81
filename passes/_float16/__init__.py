"""What float16 does to operators, operands and scales."""
