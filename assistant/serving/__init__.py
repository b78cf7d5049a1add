"""Prompt token ids go in, completion token ids come out: engines, sampling, loading, prompts."""
