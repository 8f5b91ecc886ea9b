"""One module per resource; thin."""
