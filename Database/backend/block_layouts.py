"""The registry of block layouts, as a table: ``lwb layouts``."""

from _launch import launch

if __name__ == "__main__":
    launch("layouts")
