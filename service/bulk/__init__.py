"""Bulk work: the same function over many blocks, on this machine's cores or on a cluster.

blocks     runs blocks in a pool, in order, and runs lost ones again
local      pools on this machine: in this process, or one process per core
cluster    a pool on a Ray cluster
points     values and gradients of a graph at many points, as such a function
files      points from files, results into files
"""
