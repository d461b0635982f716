"""The in-memory call ``select(X, k)``."""
