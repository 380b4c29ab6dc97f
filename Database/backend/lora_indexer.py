"""Indexes folders into ``Database/lora_master.db``: ``lwb index``."""

from _launch import launch

if __name__ == "__main__":
    launch("index", needs_roots=True)
