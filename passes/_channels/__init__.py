"""How operators treat channels, and which values share them."""
