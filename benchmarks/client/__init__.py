"""What the client and the gateway cost, and what becomes of the books when things break."""
