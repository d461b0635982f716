"""Types, errors, unit vectors, exact sums, hashes and threads. Imports nothing else of this package."""
