"""The routes, one file a noun. A router turns a request into one call of the library and its answer into a schema."""
