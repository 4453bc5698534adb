"""jobrec's settings on a data folder of the run's own, so that no test meets a person's database."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from jobrec_site.addresses import embedded_addresses

DATA = Path(tempfile.mkdtemp(prefix="jobrec-test-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)

# All of them set, so that nothing is taken from the environment or from .env.
os.environ |= embedded_addresses(DATA)
os.environ["DEBUG"] = "0"
os.environ["CORS_ALLOWED_ORIGINS"] = "https://jobs.example.org"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from jobrec_site.settings import *  # noqa: E402, F403  the environment had to be set before
