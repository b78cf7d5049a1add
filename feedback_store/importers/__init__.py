"""Importers for feedback from other systems. Each system has one module, whose `read` yields what a file holds."""

from feedback_store.importers.run_import import SYSTEMS, Report, import_file

__all__ = ["SYSTEMS", "Report", "import_file"]
