"""The gradient service: a computation graph in, forward values and gradients out."""

__version__ = "1.0.0"
