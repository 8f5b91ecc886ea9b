"""The wire: what JSON means, in and out."""
