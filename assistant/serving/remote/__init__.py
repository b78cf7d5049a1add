"""The engine over any OpenAI-compatible server: vLLM, llama.cpp's server, transformers serve."""
