"""Calls: the router, which does the steps of a call in order, and what it keeps between them."""
