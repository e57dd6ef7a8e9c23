"""The pages: server-rendered, live through small scripts, readable and usable without any."""

from controlplane.ui import views
from controlplane.ui.blueprint import blueprint

__all__ = ["blueprint", "views"]
