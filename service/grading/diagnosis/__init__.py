"""Which known mistakes give exactly what was submitted.

    faults      what one mistake is, and what it makes of a backward pass
    catalogue   every single fault of a task, made once; a submission is looked up in it
    search      fault by fault from the student's own gradients, where one alone isn't enough
    ranking     what nothing tells apart stands together, the likeliest first
    words       what a student reads

One fault at one place that explains every wrong gradient is likelier than several. Only where
there is none is each wrong gradient explained by itself.
"""

from service.grading.diagnosis.diagnose import Budget, diagnose
from service.grading.diagnosis.faults import Fault, wrong_gradients

__all__ = ["Budget", "Fault", "diagnose", "wrong_gradients"]
