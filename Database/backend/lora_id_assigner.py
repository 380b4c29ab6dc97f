"""The stable ids of ``Database/lora_master.db``: ``lwb ids``; without arguments, all of them as JSON Lines."""

from _launch import launch

if __name__ == "__main__":
    launch("ids", no_arguments=("export", "-"), needs_database=True)
