"""Exact greedy of graph cut that reads the vectors once per few hundred picks."""
