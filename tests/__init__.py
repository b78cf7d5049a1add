"""The tests; `helpers` are what they share with each other and with the benchmarks."""
