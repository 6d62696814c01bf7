"""Whether a message sounds like an emergency: listed phrases first, then a classifier of wording."""
