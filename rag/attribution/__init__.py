"""Draft to sentences, each with the sources that support it: where a citation is decided."""
