"""The tour: a third page that shows the claims behind the steps of making an assistant, one screen a claim."""

from assistant.page.tour.claim_results import plot_route
from assistant.page.tour.tour_page import PATH, add_tour

__all__ = ["PATH", "add_tour", "plot_route"]
