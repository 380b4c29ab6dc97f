"""The HTTP server: routes, their JSON, the background index job, and the built web interface.

Reads the library through :mod:`lora_weights_builder.library`; measures nothing and holds no SQL.
"""
