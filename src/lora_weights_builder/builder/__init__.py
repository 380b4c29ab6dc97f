"""What is made out of inspected LoRAs: profiles of block multipliers, and several LoRAs put side by side. Pure."""
