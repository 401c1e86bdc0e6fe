"""The catalog of routed-llm as data; `Catalog.load()` takes it where it is newer than the package's."""
