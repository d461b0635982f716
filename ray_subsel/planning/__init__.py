"""Partitions, memory and time of a run, told before it starts."""
