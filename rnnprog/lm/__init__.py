"""The only door to the LM layer of dspy."""
