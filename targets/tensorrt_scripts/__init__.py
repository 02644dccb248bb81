"""Scripts that stand alone: lprc runs them in processes of their own and copies them into kits."""
