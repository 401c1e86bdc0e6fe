"""What a decision costs, and that it is right."""
