"""Find rows that should not be chosen: repeats of another set, doubtful labels, outliers."""
