"""The smoke check of ``Database/lora_master.db``: ``lwb check``."""

from _launch import launch

if __name__ == "__main__":
    launch("check", needs_database=True)
