"""What a notebook calls with texts: :func:`~ray_subsel.select_texts`, :func:`~ray_subsel.embed`."""
