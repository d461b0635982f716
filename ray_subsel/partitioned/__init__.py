"""Selection over partitions of the ground set: no function here needs all vectors."""
