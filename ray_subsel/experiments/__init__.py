"""Experiments: many ways to choose, compared over seeds, by fine-tuning or by a fast probe."""
