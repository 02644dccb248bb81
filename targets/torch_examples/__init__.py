"""How to load torch's artefacts: files that are copied beside each one."""
