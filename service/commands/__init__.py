"""The command line's commands: one module each, found by its name.

A module has a function `command`, whose parameters and docstring make the command; its
name is the module's, with `-` for `_`. Or it has several, in a mapping `commands`. At the
top it imports nothing but the standard library and typer, so that `--help` is quick; the
rest is imported inside the function. What it raises is printed as a problem document by
`service.cli`.
"""
