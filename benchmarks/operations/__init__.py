"""Benchmarks of operating the router."""
