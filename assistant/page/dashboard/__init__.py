"""The dashboard: a second page for admins, where versions are judged, released, compared live and taken back."""

from assistant.admin.services import Office
from assistant.page.dashboard.dashboard_page import PATH, add_dashboard
from assistant.page.dashboard.dashboard_routes import routes

__all__ = ["PATH", "Office", "add_dashboard", "routes"]
