"""``python -m lora_weights_builder``: the same as the command ``lwb``."""

from lora_weights_builder.cli.main import main

if __name__ == "__main__":
    main()
