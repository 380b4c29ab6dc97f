"""The web interface and API over ``Database/lora_master.db``: ``lwb serve``."""

from _launch import launch

if __name__ == "__main__":
    launch("serve", needs_roots=True)
