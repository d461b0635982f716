"""The corpus: input files become validated rows on disk, in shards where equal texts meet."""
