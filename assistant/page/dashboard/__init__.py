"""The dashboard: a second page for admins, where versions are judged, released, compared live and taken back."""

from assistant.page.dashboard.office import Office
from assistant.page.dashboard.page import PATH, add_dashboard
from assistant.page.dashboard.routes import routes

__all__ = ["PATH", "Office", "add_dashboard", "routes"]
