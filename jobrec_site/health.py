"""The readiness check of a web process."""

from health_check.views import HealthCheckView


class ReadyView(HealthCheckView):
    """200 while the database answers. jobrec stays ready without Redis and the embedding server, which it can do without."""

    checks = ("health_check.checks.Database",)
