"""A small network of real servers in network namespaces, and what was done in it."""
