"""What runs torch's compilers, in processes of its own."""
