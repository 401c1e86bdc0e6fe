"""Measurements of the LangChain adapter."""
