"""Every text of the page and the dashboard, in English and Chinese."""
