import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")

application = get_wsgi_application()

from jobrec_site.statements import limit_statements  # noqa: E402  Django had to be set up before

limit_statements()
