"""The OpenAI-compatible HTTP API: routes, requests, responses, errors."""
