"""What counting costs, and that the counts are right."""
