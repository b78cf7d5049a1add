"""The teaching domain: generators of tasks, with the texts that they draw from."""
