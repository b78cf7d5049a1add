"""Speed, memory and steadiness of the serving app."""
