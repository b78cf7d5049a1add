"""Opening and migrating the database: SQLite or PostgreSQL."""
