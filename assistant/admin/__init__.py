"""What admins do and see: actions with an audit trail, cycles, ratings of versions."""
