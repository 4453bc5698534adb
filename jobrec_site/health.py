"""Whether this web process can do its work."""

from health_check.views import HealthCheckView


class ReadyView(HealthCheckView):
    """200 while the database answers. Without Redis or the embedding server jobrec degrades, so it stays ready."""

    checks = ("health_check.checks.Database",)
