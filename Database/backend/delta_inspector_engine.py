"""What LoRA files are and how strongly they change each block: ``lwb inspect``."""

from _launch import launch

if __name__ == "__main__":
    launch("inspect")
