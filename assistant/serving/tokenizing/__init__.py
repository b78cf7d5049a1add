"""What serving asks of a tokenizer, and where tokenizers and their chat templates differ."""
