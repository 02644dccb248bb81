"""How to load a TVM module: files that are copied beside each one."""
