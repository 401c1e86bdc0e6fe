"""Measurements of what happens when the provider fails."""
