"""Decide, for each single call, which OpenAI model serves it."""

__version__ = "0.1.0"
