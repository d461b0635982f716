"""Near duplicates by cosine: clusters, and Hartigan's leader algorithm inside each."""
