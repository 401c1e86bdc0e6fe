"""Python source: its syntax and scopes, where a model comes from, and what a string is there for."""
