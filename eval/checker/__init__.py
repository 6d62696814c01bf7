"""The checker of citations, which shares no code with what makes them."""
