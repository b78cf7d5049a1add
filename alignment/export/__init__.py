"""A version as files for other programs: a PEFT folder, merged safetensors, or GGUF, with a card, and on the Hub."""
