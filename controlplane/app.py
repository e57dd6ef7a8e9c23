"""Makes the web application: pages and API in one, each route behind the door of `controlplane.auth`."""

from __future__ import annotations

from flask import Flask

from controlplane import auth, headers, problems
from controlplane.account_stores import RedisAccountStore
from controlplane.accounts import Accounts
from controlplane.context import Services
from controlplane.settings import MAX_BODY, Settings
from controlplane.wiring import Wiring
from foundation.clock import SYSTEM
from foundation.redis import connect


def create_app(services: Services | None = None) -> Flask:
    """Make the application of the pages and the API; without services, from the environment variables (gunicorn)."""
    from controlplane import api, ui  # noqa: PLC0415 - the streams need neither
    from controlplane.api.health import blueprint as health  # noqa: PLC0415 - the same
    from controlplane.ofrep.routes import blueprint as ofrep  # noqa: PLC0415 - the same

    app = bare_app(services or services_from(Settings.from_environment()))
    app.register_blueprint(health)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(ofrep)
    app.register_blueprint(ui.blueprint)
    return app


def bare_app(services: Services) -> Flask:
    """Make an application that has the door, the headers and the problems, and no routes yet."""
    app = Flask("controlplane", static_folder=None, template_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, MAX_FORM_MEMORY_SIZE=MAX_BODY, MAX_FORM_PARTS=1000)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    services.attach(app)
    app.before_request(auth.guard)
    headers.register(app)
    problems.register(app)
    return app


def services_from(settings: Settings) -> Services:
    """Connect to what the settings name."""
    wiring = Wiring(settings)
    client = connect(wiring.environment(settings.environment).redis_url)
    return Services(settings, wiring, Accounts(RedisAccountStore(client), SYSTEM), SYSTEM)
