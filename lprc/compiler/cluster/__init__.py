"""Work on other machines: the workers behind a Dask scheduler, and the files that go there."""
