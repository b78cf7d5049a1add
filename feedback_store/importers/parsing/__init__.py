"""Read foreign files, their fields, and the conversations and feedback in them, independent of the system."""
