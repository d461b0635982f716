"""What a run leaves on disk: the run directory, its manifest, the embeddings."""
