"""LoRA Weights Builder: index, inspect and address a library of LoRA files.

The package is built in floors, each importing only from below:
``cli`` > ``api`` > ``library`` > ``inspector`` > ``records``, ``errors``, ``config``.
"""

__version__ = "0.1.0"
