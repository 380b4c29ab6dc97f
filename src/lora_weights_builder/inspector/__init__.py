"""A file in, a record out: reads safetensors, recognises the model, measures the change. No database, HTTP or torch."""
