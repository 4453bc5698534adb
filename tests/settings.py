"""jobrec's settings on a data folder of the run's own, so that no test meets a person's database."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from jobrec_site.addresses import embedded_database_url, embedded_redis_url, redis_database

DATA = Path(tempfile.mkdtemp(prefix="jobrec-test-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)

# All of them set, so that nothing is taken from the environment or from .env.
os.environ["JOBREC_DATA_DIR"] = str(DATA)
os.environ["DATABASE_URL"] = embedded_database_url(DATA)
os.environ["REDIS_URL"] = embedded_redis_url(DATA)
for number, name in enumerate(("REDIS_BROKER_URL", "REDIS_RESULT_URL", "REDIS_CACHE_URL")):
    os.environ[name] = redis_database(os.environ["REDIS_URL"], number)
os.environ["DEBUG"] = "0"
os.environ["CORS_ALLOWED_ORIGINS"] = "https://jobs.example.org"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from jobrec_site.settings import *  # noqa: E402, F403  the environment had to be set before
