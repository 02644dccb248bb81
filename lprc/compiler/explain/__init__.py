"""Why a model or a node is as it is."""
