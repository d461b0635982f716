"""Exact greedy of graph cut by drafting picks and verifying them, one or two passes over the vectors a draft."""
