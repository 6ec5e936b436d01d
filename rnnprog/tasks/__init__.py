"""Tasks: sequences, a signature, a metric and feedback, by name."""
