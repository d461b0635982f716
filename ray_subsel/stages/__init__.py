"""The stages of a run: each reads the run directory, calls the mathematics and writes what comes of it."""
