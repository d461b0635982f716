"""What became of every row of a corpus, and why."""
