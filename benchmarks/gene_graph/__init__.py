"""What sense the learned gene graph makes."""
