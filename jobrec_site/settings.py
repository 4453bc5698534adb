"""All settings of jobrec, read from the environment. `.env.example` lists every variable with its default.

With nothing set, the addresses are those of the embedded servers that `make run` starts under `.data/`.
"""

import os
from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from jobrec_site.addresses import celery_url, embedded_database_url, embedded_redis_url, redis_database
from jobrec_site.admin_theme import UNFOLD  # noqa: F401  a setting of django-unfold
from jobrec_site.environment import MOST_PORT, Variables

BASE_DIR = Path(__file__).resolve().parent.parent
# A checkout holds its own .env and data. An installed package takes .env from the working directory.
IS_CHECKOUT = (BASE_DIR / "manage.py").exists()
env = Variables()
Variables.read_env((BASE_DIR if IS_CHECKOUT else Path.cwd()) / ".env")

_data_dir = BASE_DIR / ".data" if IS_CHECKOUT else Path.home() / ".local" / "share" / "jobrec"
DATA_DIR = Path(env("JOBREC_DATA_DIR", default=str(_data_dir))).resolve()

# --- web ---------------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env("SECRET_KEY", default="")
if not SECRET_KEY:
    # One machine: a key of its own, kept beside its data. Several hosts must share SECRET_KEY.
    key_file = DATA_DIR / "secret-key"
    try:
        if not key_file.exists():
            key_file.parent.mkdir(parents=True, exist_ok=True)
            key_file.write_text(get_random_secret_key())
            key_file.chmod(0o600)
        SECRET_KEY = key_file.read_text()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{error.filename}: {error.strerror}. {DATA_DIR} may belong to another user (was jobrec run as root "
            f"before?): give it to {os.environ.get('USER', 'this user')}, or set JOBREC_DATA_DIR or SECRET_KEY"
        ) from error
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# 1 where people reach jobrec over https: secure cookies, redirects, HSTS. Plain http on localhost works without.
HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", default=31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # asked by machines beside the web server
# Proxies in front that are trusted to say who asks, and whether over https (X-Forwarded-For, X-Forwarded-Proto).
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", default=0)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/graphql$"
WEB_PORT = env.number("WEB_PORT", default=8080, least=1, most=MOST_PORT)
WEB_WORKERS = env.number("WEB_WORKERS", default=2, least=1)
FLOWER_PORT = env.number("FLOWER_PORT", default=5555, least=1, most=MOST_PORT)
# Linked in the admin; empty: no link.
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
    "django.middleware.security.SecurityMiddleware",
    # Each middleware above the response cache costs a hit as much as a lookup does: only where it is needed.
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ALLOWED_ORIGINS else []),
    # A hit ends here, so what stands below neither costs it nor counts it (see jobrec_cache_lookups instead).
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
        "DIRS": [BASE_DIR / "jobrec_site" / "templates"],  # before the theme's own
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
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "jobrec_site.formats"
STATIC_URL = "/static/"
STATIC_ROOT = Path(env("STATIC_ROOT", default="") or DATA_DIR / "static")
# Served as they are, compressed; found where they lie while nothing is collected (tests, a bare `manage.py`).
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = not STATIC_ROOT.is_dir()

# --- PostgreSQL ----------------------------------------------------------------------------------------------
_database = env.address(
    "DATABASE_URL", default=embedded_database_url(DATA_DIR), schemes=("postgresql", "postgres")
)
DATABASES = {"default": env.db_url_config(_database)}
DATABASES["default"] |= {
    "CONN_MAX_AGE": env.number("DATABASE_CONN_MAX_AGE", default=600),
    "CONN_HEALTH_CHECKS": True,
}
_options = DATABASES["default"].setdefault("OPTIONS", {})
# As pg_stat_activity, the breakers and the logs call it
PROCESS_NAME = env("JOBREC_PROCESS", default="jobrec")
_options["application_name"] = PROCESS_NAME
if socket := _options.pop(
    "host", None
):  # postgresql://user@/name?host=/folder: libpq's way to name a UNIX socket
    DATABASES["default"]["HOST"] = socket
# Seconds for one statement of a web process; 0: no limit. Workers build indexes, which take longer.
WEB_STATEMENT_TIMEOUT = env.number("WEB_STATEMENT_TIMEOUT", default=10.0)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis or Valkey: three roles, separable -----------------------------------------------------------------
# Not BROKER_URL: Celery's command line takes that from the environment itself, in a form of its own.
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
# Staleness where an invalidation cannot arrive is bounded by these.
CACHE_L1_TTL = env.number("CACHE_L1_TTL", default=60, least=1)  # seconds, in each web process
CACHE_L1_ENTRIES = env.number("CACHE_L1_ENTRIES", default=2_000, least=1)
CACHE_L2_TTL = env.number("CACHE_L2_TTL", default=600, least=1)  # seconds, in Redis
# Seconds that what a cursor goes on from is kept. The page before it may come from caches that are twice as old as L2's.
CURSOR_TTL = env.number("CURSOR_TTL", default=3 * CACHE_L2_TTL, least=1)
# Whole responses, in each web process
CACHE_L1_RESPONSES_MB = env.number("CACHE_L1_RESPONSES_MB", default=32)
# After its start and after each run the cache warmer answers what is asked most, so many requests, so many seconds.
CACHE_WARM_REQUESTS = env.number("CACHE_WARM_REQUESTS", default=50)  # 0: nothing is counted, nothing warmed
CACHE_WARM_SECONDS = env.number("CACHE_WARM_SECONDS", default=20.0)

# --- gRPC ----------------------------------------------------------------------------------------------------
# Sidecars to call after a run (all of them; one is enough while they share the cache), and this host's own.
INVALIDATION_ADDRESSES = env.list("INVALIDATION_ADDRESSES", default=["127.0.0.1:50052"])
INVALIDATION_BIND = env.listener("INVALIDATION_BIND", default="127.0.0.1:50052")
EMBEDDING_ADDRESS = env.listener("EMBEDDING_ADDRESS", default="127.0.0.1:50051")
EMBEDDING_BIND = env.listener("EMBEDDING_BIND", default="127.0.0.1:50051")
RPC_TOKEN = env("RPC_TOKEN", default="")
RPC_TLS_CERTIFICATE = env("RPC_TLS_CERTIFICATE", default="")
RPC_TLS_KEY = env("RPC_TLS_KEY", default="")
RPC_TLS_CA = env("RPC_TLS_CA", default="")
EMBED_DEADLINE = env.number("EMBED_DEADLINE", default=2.0)  # seconds a person's search waits for its vector
# Texts of concurrent calls that are encoded together
EMBED_BATCH_TEXTS = env.number("EMBED_BATCH_TEXTS", default=128, least=1)
EMBED_BATCH_WAIT = env.number("EMBED_BATCH_WAIT", default=0.02)  # seconds for the usual callers to come back
# Texts that may wait; a call beyond them is RESOURCE_EXHAUSTED
EMBED_QUEUE_TEXTS = env.number("EMBED_QUEUE_TEXTS", default=256, least=1)
EMBED_STREAMS = env.number("EMBED_STREAMS", default=4, least=1)  # open at a time
# host:port for Prometheus; off where empty
EMBED_METRICS_BIND = env.listener("EMBED_METRICS_BIND", default="")
PULL_TOKEN = env("PULL_TOKEN", default="")  # of the server that vectors are pulled from, never this RPC_TOKEN
INVALIDATE_DEADLINE = env.number("INVALIDATE_DEADLINE", default=2.0)  # seconds

# --- embedding -----------------------------------------------------------------------------------------------
# The model registered into an empty database. A hub name or a local folder.
EMBEDDING_MODEL = env("EMBEDDING_MODEL", default="sentence-transformers/all-MiniLM-L6-v2")
EMBEDDING_WEIGHTS = env("EMBEDDING_WEIGHTS", default="main")  # the hub's branch, tag or commit
EMBEDDING_DIMENSIONS = env.number("EMBEDDING_DIMENSIONS", default=384, least=1, most=4_000)
# Longest text, in model windows; 1 truncates
EMBEDDING_WINDOWS = env.number("EMBEDDING_WINDOWS", default=8, least=1)
EMBEDDING_DEVICE = env("EMBEDDING_DEVICE", default="auto")  # auto, cpu, cuda, cuda:1, mps
EMBEDDING_DTYPE = env("EMBEDDING_DTYPE", default="auto")  # auto, float32, bfloat16, float16
EMBEDDING_BATCH_TOKENS = env.number("EMBEDDING_BATCH_TOKENS", default=0)  # 0: 4,096 on a CPU, 65,536 on a GPU
EMBEDDING_CHUNK_SIZE = env.number("EMBEDDING_CHUNK_SIZE", default=500, least=1)  # rows, 100 to 500
EMBEDDING_WAVE_SIZE = env.number("EMBEDDING_WAVE_SIZE", default=8, least=1)  # chunks
EMBEDDING_WAVES_IN_FLIGHT = env.number("EMBEDDING_WAVES_IN_FLIGHT", default=2, least=1)
# Seconds; renewed while the chunk is being encoded
EMBEDDING_LEASE = env.number("EMBEDDING_LEASE", default=60, least=1)
# Workers that a chunk may crash before its texts are encoded in a subprocess, and before it is given up.
EMBEDDING_SUSPECT_AFTER = env.number("EMBEDDING_SUSPECT_AFTER", default=2)
EMBEDDING_ATTEMPTS = env.number("EMBEDDING_ATTEMPTS", default=8, least=1)
# Cores that a process with the model computes on, on a CPU; 0: all it may use
EMBEDDING_CORES = env.number("EMBEDDING_CORES", default=0)
# On a CPU, embeds only while nobody wants the core, and writes vectors a few rows at a time, with rests.
EMBEDDING_IDLE = env.bool("EMBEDDING_IDLE", default=False)
# Niceness of the embed worker on a CPU, so that searches go first
EMBEDDING_NICE = env.number("EMBEDDING_NICE", default=10, least=-20, most=19)
# Share of rows embedded before a model serves
MODEL_COVERAGE = env.number("MODEL_COVERAGE", default=0.99, most=1)
KEEP_RUNS_DAYS = env.number("KEEP_RUNS_DAYS", default=30)
# After they were cleared or replayed
KEEP_DEAD_LETTERS_DAYS = env.number("KEEP_DEAD_LETTERS_DAYS", default=90)
# Matches ranked, and so pageable
RECOMMENDATION_DEPTH = env.number("RECOMMENDATION_DEPTH", default=200, least=1)
HNSW_M = env.number("HNSW_M", default=16, least=2, most=100)
HNSW_EF_CONSTRUCTION = env.number("HNSW_EF_CONSTRUCTION", default=64, least=4, most=1_000)
HNSW_EF_SEARCH = env.number("HNSW_EF_SEARCH", default=200, least=1, most=1_000)
HNSW_MAX_SCAN_TUPLES = env.number("HNSW_MAX_SCAN_TUPLES", default=40_000, least=1)
# 0: an eighth of the machine, 64 to 4,096
HNSW_BUILD_MEMORY_MB = env.number("HNSW_BUILD_MEMORY_MB", default=0)

# --- beat: what the schedules are when the database is new; edit them in the admin ----------------------------
REEMBED_EVERY = timedelta(seconds=env.number("REEMBED_EVERY", default=300, least=1))
SWEEP_EVERY = timedelta(seconds=env.number("SWEEP_EVERY", default=30, least=1))
SWEEP_PATIENCE = env.number("SWEEP_PATIENCE", default=30)  # seconds before a step counts as overdue
PRUNE_EVERY = timedelta(seconds=env.number("PRUNE_EVERY", default=86_400, least=1))

# --- GraphQL -------------------------------------------------------------------------------------------------
GRAPHENE = {
    "SCHEMA": "apps.api.schema.schema",
    "RELAY_CONNECTION_MAX_LIMIT": 100,
    "CAMELCASE_ERRORS": True,
    "TESTING_ENDPOINT": "/graphql",
}
GRAPHIQL = env.bool("GRAPHIQL", default=True)
GRAPHQL_INTROSPECTION = env.bool("GRAPHQL_INTROSPECTION", default=True)
GRAPHQL_MAX_DEPTH = env.number("GRAPHQL_MAX_DEPTH", default=12, least=1)  # fields inside of fields
# Fields asked for again in their selection
GRAPHQL_MAX_ALIASES = env.number("GRAPHQL_MAX_ALIASES", default=50)
GRAPHQL_MAX_COST = env.number("GRAPHQL_MAX_COST", default=20_000, least=1)  # about the values in the answer
GRAPHQL_MAX_TOKENS = env.number("GRAPHQL_MAX_TOKENS", default=1_000, least=1)
GRAPHQL_MAX_BODY = env.number("GRAPHQL_MAX_BODY", default=1_048_576, least=1)  # octets
DATA_UPLOAD_MAX_MEMORY_SIZE = max(GRAPHQL_MAX_BODY, 2_621_440)  # Django's own bound, of the admin's forms too
# Requests of one address, and of one user; an empty rate is no limit. Answers from the response cache are free.
RATE_LIMIT_ANONYMOUS = env("RATE_LIMIT_ANONYMOUS", default="600/minute")
RATE_LIMIT_SIGNED_IN = env("RATE_LIMIT_SIGNED_IN", default="3000/minute")
RATE_LIMIT_LOGIN = env("RATE_LIMIT_LOGIN", default="10/minute")  # of one address, in the admin

LOG_LEVEL = env.choice("LOG_LEVEL", default="INFO", among=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # A line for each message that a worker takes would drown those that say what became of it.
    "loggers": {"django.db.backends": {"level": "INFO"}, "celery.worker.strategy": {"level": "WARNING"}},
}

CELERY_BROKER = celery_url(REDIS_BROKER_URL)
CELERY_RESULTS = celery_url(REDIS_RESULT_URL)
