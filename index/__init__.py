"""Raw corpora to an index on disk: `python -m index --help`."""
