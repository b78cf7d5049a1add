"""What the tour runs: the starter beside whatever model serves, tokens drawn one by one, rows from example votes."""
