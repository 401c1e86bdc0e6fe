"""Token counting without a network: bounds, exact text counts, images, audio, PDF files and tools.

Importing this package loads no vocabulary and no optional library; a count loads what it needs, once.
"""
