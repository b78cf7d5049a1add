"""The dashboard: a second page on which admins judge, release, compare and roll back versions."""

from assistant.admin.services import AdminServices
from assistant.page.dashboard.dashboard_page import PATH, add_dashboard
from assistant.page.dashboard.dashboard_routes import routes

__all__ = ["PATH", "AdminServices", "add_dashboard", "routes"]
