"""The engine on llama.cpp: one base in memory, an adapter for each request."""
