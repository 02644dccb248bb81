"""The code that imports TVM: it runs in processes of its own, and in the runner."""
