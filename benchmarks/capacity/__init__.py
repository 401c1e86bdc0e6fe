"""Deadlines, batches, rate limits and homes, on simulated providers."""
