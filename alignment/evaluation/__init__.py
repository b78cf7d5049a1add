"""Is a version better? Suites, comparison, retention, statistical tests, the gate."""
