"""Import conversations and feedback from files of other systems. `systems` has one module for each of them."""

from feedback_store.importers.run_import import MAPPED, SYSTEMS, Report, import_file

__all__ = ["MAPPED", "SYSTEMS", "Report", "import_file"]
