"""The gallery: read-only views of traces and results."""
