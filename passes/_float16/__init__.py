"""The effects of float16 on operators, operands and scales."""
