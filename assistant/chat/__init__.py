"""One exchange of a conversation: from a message to a stored reply, streamed."""
