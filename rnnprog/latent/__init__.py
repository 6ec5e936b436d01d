"""Cells whose carry is vectors (extra `latent`)."""
