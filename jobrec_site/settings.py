"""All settings of jobrec, read from the environment. `.env.example` lists every variable with its default.

If nothing is set, the addresses are those of the embedded servers that `make run` starts under `.data/`.
"""

import os
from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from jobrec_site.addresses import celery_url, embedded_database_url, embedded_redis_url, redis_database
from jobrec_site.admin_theme import UNFOLD  # noqa: F401  a setting of django-unfold
from jobrec_site.environment import MAX_PORT, Variables

BASE_DIR = Path(__file__).resolve().parent.parent
# A checkout holds its own .env and data. An installed package takes .env from the working directory.
IS_CHECKOUT = (BASE_DIR / "manage.py").exists()
env = Variables()
Variables.read_env((BASE_DIR if IS_CHECKOUT else Path.cwd()) / ".env")

_data_dir = BASE_DIR / ".data" if IS_CHECKOUT else Path.home() / ".local" / "share" / "jobrec"
DATA_DIR = Path(env("JOBREC_DATA_DIR", default=str(_data_dir))).resolve()

# --- web -----------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env("SECRET_KEY", default="")
if not SECRET_KEY:
    # A single machine generates its own key. Several hosts must share SECRET_KEY.
    key_file = DATA_DIR / "secret-key"
    try:
        if not key_file.exists():
            key_file.parent.mkdir(parents=True, exist_ok=True)
            key_file.write_text(get_random_secret_key())
            key_file.chmod(0o600)
        SECRET_KEY = key_file.read_text()
    except OSError as error:
        raise ImproperlyConfigured(
            f"Cannot store the secret key in {error.filename}: {error.strerror}. "
            f"Was jobrec run as root before? "
            f"Give {DATA_DIR} to {os.environ.get('USER', 'this user')}, or set JOBREC_DATA_DIR or SECRET_KEY."
        ) from error
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# 1 if browsers use https: secure cookies, redirects, HSTS
HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", default=31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [
    r"^(healthz|readyz|metrics)$"
]  # requested without https, by machines next to the web server
# Number of proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", default=0)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/graphql$"
WEB_PORT = env.number("WEB_PORT", default=8080, minimum=1, maximum=MAX_PORT)
WEB_WORKERS = env.number("WEB_WORKERS", default=2, minimum=1)
# Bearer token for /metrics and /readyz; empty: only from this machine
METRICS_TOKEN = env("METRICS_TOKEN", default="")
FLOWER_PORT = env.number("FLOWER_PORT", default=5555, minimum=1, maximum=MAX_PORT)
# Link to Flower in the admin; empty: no link
FLOWER_URL = env("FLOWER_URL", default=f"http://localhost:{FLOWER_PORT}")

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "jobrec_site.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_celery_beat",
    "corsheaders",
    "django_filters",
    "django_prometheus",
    "apps.api",
    "graphene_django",
    "health_check",
    "apps.rpc",
    "apps.caching",
    "apps.access",
    "apps.records",
    "apps.skills",
    "apps.postings",
    "apps.candidates",
    "apps.embeddings",
    "apps.recommendations",
    "apps.statistics",
    "apps.sample",
    "workers",
    "jobrec_site.apps.JobrecSiteConfig",
]
MIDDLEWARE = [
    "jobrec_site.headers.PageHeaders",
    "django.middleware.security.SecurityMiddleware",
    # Above the response cache, so it slows every hit: only if it is needed
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ALLOWED_ORIGINS else []),
    # A hit ends here. The middleware below does not see it; jobrec_cache_lookups counts it.
    "apps.api.middleware.GraphQLMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "jobrec_site.cookies.UnreadableCookies",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "jobrec_site.urls"
WSGI_APPLICATION = "jobrec_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "jobrec_site" / "templates"],  # before those of the theme
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # also where a login lands whose address for afterwards is refused
LANGUAGE_CODE = "en"
# Where the board is: a posting that closes on a day is open to the end of that day there.
TIME_ZONE = env("BOARD_TIME_ZONE", default="UTC")
USE_TZ = True
FORMAT_MODULE_PATH = "jobrec_site.formats"
STATIC_URL = "/static/"
STATIC_ROOT = Path(env("STATIC_ROOT", default="") or DATA_DIR / "static")
# Compressed files of STATIC_ROOT; in tests, where nothing is collected, the files of the apps
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = not STATIC_ROOT.is_dir()

# --- PostgreSQL ----------------------------------------------------------------------------------------
_database = env.address(
    "DATABASE_URL", default=embedded_database_url(DATA_DIR), schemes=("postgresql", "postgres")
)
DATABASES = {"default": env.db_url_config(_database)}
DATABASES["default"] |= {
    "CONN_MAX_AGE": env.number("DATABASE_CONN_MAX_AGE", default=600),
    "CONN_HEALTH_CHECKS": True,
}
_options = DATABASES["default"].setdefault("OPTIONS", {})
# The name of this process in pg_stat_activity
PROCESS_NAME = env("JOBREC_PROCESS", default="jobrec")
_options["application_name"] = PROCESS_NAME
# postgresql://user@/name?host=/folder is how libpq names a UNIX socket
if socket := _options.pop("host", None):
    DATABASES["default"]["HOST"] = socket
# Time limit of a statement of a web process, in seconds; 0: none. Workers have none: they build indexes.
WEB_STATEMENT_TIMEOUT = env.number("WEB_STATEMENT_TIMEOUT", default=10.0)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis or Valkey, in three roles -------------------------------------------------------------------
# Not BROKER_URL: Celery's command line reads that variable itself, in its own format.
_REDIS = ("redis", "rediss", "unix")
REDIS_URL = env.address("REDIS_URL", default=embedded_redis_url(DATA_DIR), schemes=_REDIS)
REDIS_BROKER_URL = env.address("REDIS_BROKER_URL", default=redis_database(REDIS_URL, 0), schemes=_REDIS)
REDIS_RESULT_URL = env.address("REDIS_RESULT_URL", default=redis_database(REDIS_URL, 1), schemes=_REDIS)
REDIS_CACHE_URL = env.address("REDIS_CACHE_URL", default=redis_database(REDIS_URL, 2), schemes=_REDIS)

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_CACHE_URL,
        "KEY_PREFIX": "jobrec",
        "OPTIONS": {
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
        },
    }
}
# These bound staleness while invalidations cannot be delivered.
CACHE_L1_TTL = env.number("CACHE_L1_TTL", default=60, minimum=1)  # seconds, in each web process
CACHE_L1_ENTRIES = env.number("CACHE_L1_ENTRIES", default=2_000, minimum=1)
CACHE_L2_TTL = env.number("CACHE_L2_TTL", default=600, minimum=1)  # seconds, in Redis
# How long the list behind a pagination cursor is kept, in seconds: longer than a cached page before it
CURSOR_TTL = env.number("CURSOR_TTL", default=3 * CACHE_L2_TTL, minimum=1)
# Size of the response cache of each web process
CACHE_L1_RESPONSES_MB = env.number("CACHE_L1_RESPONSES_MB", default=32)
# The cache warmer answers the most popular requests: so many of them, for so long at most.
CACHE_WARM_REQUESTS = env.number("CACHE_WARM_REQUESTS", default=50)  # 0: no warming
CACHE_WARM_SECONDS = env.number("CACHE_WARM_SECONDS", default=20.0)  # of one pass

# --- gRPC ----------------------------------------------------------------------------------------------
# The sidecars to call after a run; one is enough if they share the cache
INVALIDATION_ADDRESSES = env.list("INVALIDATION_ADDRESSES", default=["127.0.0.1:50052"])
INVALIDATION_BIND = env.listener("INVALIDATION_BIND", default="127.0.0.1:50052")
EMBEDDING_ADDRESS = env.listener("EMBEDDING_ADDRESS", default="127.0.0.1:50051")
EMBEDDING_BIND = env.listener("EMBEDDING_BIND", default="127.0.0.1:50051")
RPC_TOKEN = env("RPC_TOKEN", default="")
RPC_TLS_CERTIFICATE = env("RPC_TLS_CERTIFICATE", default="")
RPC_TLS_KEY = env("RPC_TLS_KEY", default="")
RPC_TLS_CA = env("RPC_TLS_CA", default="")
EMBED_DEADLINE = env.number("EMBED_DEADLINE", default=2.0)  # seconds that a search waits for its query vector
# Maximum number of texts that are encoded together, from concurrent calls
EMBED_BATCH_TEXTS = env.number("EMBED_BATCH_TEXTS", default=128, minimum=1)
# Seconds that an idle encoder waits for its usual callers
EMBED_BATCH_WAIT = env.number("EMBED_BATCH_WAIT", default=0.02)
# Maximum number of texts that wait; calls beyond it get RESOURCE_EXHAUSTED
EMBED_QUEUE_TEXTS = env.number("EMBED_QUEUE_TEXTS", default=256, minimum=1)
EMBED_STREAMS = env.number("EMBED_STREAMS", default=4, minimum=1)  # maximum number of open bulk streams
# host:port for Prometheus; empty: no metrics
EMBED_METRICS_BIND = env.listener("EMBED_METRICS_BIND", default="")
PULL_TOKEN = env("PULL_TOKEN", default="")  # token of the server that vectors are pulled from
INVALIDATE_DEADLINE = env.number("INVALIDATE_DEADLINE", default=2.0)  # seconds

# --- embedding -----------------------------------------------------------------------------------------
# The model that is registered in an empty database: a name on the Hugging Face hub, `multilingual`, a folder
EMBEDDING_MODEL = env("EMBEDDING_MODEL", default="sentence-transformers/all-MiniLM-L6-v2")
# Trained change of the model's weights: a file; `default`: the one shipped for the default model; empty: none
EMBEDDING_ADAPTER = env("EMBEDDING_ADAPTER", default="default")
EMBEDDING_WEIGHTS = env("EMBEDDING_WEIGHTS", default="main")  # branch, tag or commit on the hub
EMBEDDING_DIMENSIONS = env.number("EMBEDDING_DIMENSIONS", default=384, minimum=1, maximum=4_000)
# Maximum length of a text, in model windows; 1 truncates
EMBEDDING_WINDOWS = env.number("EMBEDDING_WINDOWS", default=8, minimum=1)
EMBEDDING_DEVICE = env("EMBEDDING_DEVICE", default="auto")  # auto, cpu, cuda, cuda:1, mps
IMPORT_MAX_DOWNLOAD_MB = env.number("IMPORT_MAX_DOWNLOAD_MB", default=2_048, minimum=1)  # of one fetched feed
IMPORT_ALLOW_PRIVATE_ADDRESSES = env.bool("IMPORT_ALLOW_PRIVATE_ADDRESSES", default=False)
# Further words that mean "unknown" in feeds, separated by commas; see apps/records/normalizing/unknown.py
IMPORT_NULL_WORDS = frozenset(word.strip().casefold() for word in env.list("IMPORT_NULL_WORDS", default=[]))

EMBEDDING_DTYPE = env("EMBEDDING_DTYPE", default="auto")  # auto, float32, bfloat16, float16
EMBEDDING_BATCH_TOKENS = env.number("EMBEDDING_BATCH_TOKENS", default=0)  # 0: 4,096 on a CPU, 65,536 on a GPU
EMBEDDING_CHUNK_SIZE = env.number("EMBEDDING_CHUNK_SIZE", default=500, minimum=1)  # rows, 100 to 500
EMBEDDING_WAVE_SIZE = env.number("EMBEDDING_WAVE_SIZE", default=8, minimum=1)  # chunks
EMBEDDING_WAVES_IN_FLIGHT = env.number("EMBEDDING_WAVES_IN_FLIGHT", default=2, minimum=1)
# Lease of a chunk, in seconds; renewed while the chunk is being encoded
EMBEDDING_LEASE = env.number("EMBEDDING_LEASE", default=60, minimum=1)
# Lost workers after which a chunk is encoded in a subprocess, and attempts after which it fails for good
EMBEDDING_SUSPECT_AFTER = env.number("EMBEDDING_SUSPECT_AFTER", default=2)
EMBEDDING_ATTEMPTS = env.number("EMBEDDING_ATTEMPTS", default=8, minimum=1)
# On a CPU: cores that a process with the model uses; 0: all that it may use
EMBEDDING_CORES = env.number("EMBEDDING_CORES", default=0)
# On a CPU: embed only while no other process needs the core, and throttle the writing of vectors
EMBEDDING_IDLE = env.bool("EMBEDDING_IDLE", default=False)
# On a CPU: niceness of the embed worker, so that searches go first
EMBEDDING_NICE = env.number("EMBEDDING_NICE", default=10, minimum=-20, maximum=19)
# Share of rows that must be embedded before a model is activated
MODEL_COVERAGE = env.number("MODEL_COVERAGE", default=0.99, maximum=1)
KEEP_RUNS_DAYS = env.number("KEEP_RUNS_DAYS", default=30)
# After a dead letter was cleared or replayed
KEEP_DEAD_LETTERS_DAYS = env.number("KEEP_DEAD_LETTERS_DAYS", default=90)
# JSON file of the weights of the ranking; by default the shipped one, apps/recommendations/weights.json
RANKING_FILE = env("RANKING_FILE", default="")
# Matches that are ranked and can be paged through
RECOMMENDATION_DEPTH = env.number("RECOMMENDATION_DEPTH", default=200, minimum=1)
HNSW_M = env.number("HNSW_M", default=16, minimum=2, maximum=100)
HNSW_EF_CONSTRUCTION = env.number("HNSW_EF_CONSTRUCTION", default=64, minimum=4, maximum=1_000)
HNSW_EF_SEARCH = env.number("HNSW_EF_SEARCH", default=200, minimum=1, maximum=1_000)
HNSW_MAX_SCAN_TUPLES = env.number("HNSW_MAX_SCAN_TUPLES", default=40_000, minimum=1)
# 0: an eighth of the machine's memory, 64 to 4,096
HNSW_BUILD_MEMORY_MB = env.number("HNSW_BUILD_MEMORY_MB", default=0)

# --- beat: the schedules of a new database; later edit them in the admin -------------------------------
REEMBED_EVERY = timedelta(seconds=env.number("REEMBED_EVERY", default=300, minimum=1))
SWEEP_EVERY = timedelta(seconds=env.number("SWEEP_EVERY", default=30, minimum=1))
SWEEP_PATIENCE = env.number("SWEEP_PATIENCE", default=30)  # seconds until the sweeper sends a step again
PRUNE_EVERY = timedelta(seconds=env.number("PRUNE_EVERY", default=86_400, minimum=1))

# --- GraphQL -------------------------------------------------------------------------------------------
GRAPHENE = {
    "SCHEMA": "apps.api.schema.schema",
    "RELAY_CONNECTION_MAX_LIMIT": 100,
    "CAMELCASE_ERRORS": True,
    "TESTING_ENDPOINT": "/graphql",
}
GRAPHIQL = env.bool("GRAPHIQL", default=True)
GRAPHQL_INTROSPECTION = env.bool("GRAPHQL_INTROSPECTION", default=True)
GRAPHQL_MAX_DEPTH = env.number("GRAPHQL_MAX_DEPTH", default=12, minimum=1)  # nesting of fields
# Repetitions of a field in one selection
GRAPHQL_MAX_ALIASES = env.number("GRAPHQL_MAX_ALIASES", default=50)
GRAPHQL_MAX_COST = env.number(
    "GRAPHQL_MAX_COST", default=20_000, minimum=1
)  # roughly the values in the response
GRAPHQL_MAX_TOKENS = env.number("GRAPHQL_MAX_TOKENS", default=1_000, minimum=1)
GRAPHQL_MAX_BODY = env.number("GRAPHQL_MAX_BODY", default=1_048_576, minimum=1)  # bytes
DATA_UPLOAD_MAX_MEMORY_SIZE = max(GRAPHQL_MAX_BODY, 2_621_440)  # also bounds the forms of the admin
# Requests per address and per user; empty: no limit. Responses from the response cache are not counted.
RATE_LIMIT_ANONYMOUS = env("RATE_LIMIT_ANONYMOUS", default="600/minute")
RATE_LIMIT_SIGNED_IN = env("RATE_LIMIT_SIGNED_IN", default="3000/minute")
# GraphQL cost that counts as one request: a request counts once, and once more for each further such cost
RATE_LIMIT_COST = env.number("RATE_LIMIT_COST", default=1_000, minimum=1)
RATE_LIMIT_LOGIN = env("RATE_LIMIT_LOGIN", default="10/minute")  # attempts per address, in the admin

LOG_LEVEL = env.choice("LOG_LEVEL", default="INFO", among=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # Without this, a worker logs a line for every message that it receives.
    "loggers": {"django.db.backends": {"level": "INFO"}, "celery.worker.strategy": {"level": "WARNING"}},
}

CELERY_BROKER = celery_url(REDIS_BROKER_URL)
CELERY_RESULTS = celery_url(REDIS_RESULT_URL)
