"""A synthetic LoRA library to try the product on, whose every number is known beforehand.

``plan()`` says what is in it, ``write_library()`` writes it. Nothing here measures: that is the inspector's part, and
the plan is what its answers are compared with.
"""

from lora_weights_builder.demo.library_writer import PlannedFile, WrittenLibrary, plan, write_library

__all__ = ["PlannedFile", "WrittenLibrary", "plan", "write_library"]
