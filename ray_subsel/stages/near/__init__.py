"""The steps of :mod:`ray_subsel.stages.deduplicate`, over files: what a task is told, what it reads, what it writes."""
