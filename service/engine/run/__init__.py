"""The ways of running a program, one module each."""
