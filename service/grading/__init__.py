"""Grading backpropagation: which wire of a circuit is wrong, and why.

task, submission     what is asked, and what a student sent
truth                values, gradients and gates of a task, computed once
tolerance            when two gradients count as equal
verdicts             each wire against the student's own downstream gradients
mistakes/            the known mistakes, each a source of wrong gradients
diagnose             which of them give exactly what was submitted
grade                the whole, and what of it may be shown
formats/             the same result as the graders want it
"""
