"""What is asked, and what the right answers are."""
