"""One module for each shape of training rows: `read(path)` yields a conversation or a reason for each row."""
