"""Whether the right answer comes first."""
