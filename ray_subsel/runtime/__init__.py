"""Ray sessions, retried tasks, peak memory and progress."""
