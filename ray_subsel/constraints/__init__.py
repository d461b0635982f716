"""Constraints of a subset: quotas, floors, a budget, rows that must or must not be chosen."""
