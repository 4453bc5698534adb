"""The readiness check of a web process."""

from health_check.views import HealthCheckView


class ReadyView(HealthCheckView):
    """200 while the database answers, since jobrec can do without Redis and the embedding server."""

    checks = ("health_check.checks.Database",)
