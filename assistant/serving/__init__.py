"""Prompt token ids in, completion token ids out: engines, sampling, loading, prompts."""
