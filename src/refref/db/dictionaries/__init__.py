"""zstd dictionaries for stored bodies; numbered, never changed once released."""
