"""What each mode answers, generated once and kept."""
