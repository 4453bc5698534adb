"""Celery's configuration. A comment says what each departure from the defaults prevents."""

from django.conf import settings
from kombu import Exchange, Queue

broker_url = settings.CELERY_BROKER
result_backend = settings.CELERY_RESULTS
broker_connection_retry_on_startup = True
imports = ["workers.tasks"]

# Each queue has its own exchange. Otherwise all would be bound to the exchange of the default queue.
task_queues = [Queue(name, Exchange(name), routing_key=name) for name in ("embed", "write", "control")]
task_default_queue = "control"
task_routes = {
    "workers.tasks.embed_chunk": {"queue": "embed"},
    "workers.tasks.write_wave": {"queue": "write"},
}
task_create_missing_queues = False  # a misspelled queue is an error, and not a queue that nobody reads

# A message is acknowledged when the work is done, so that another worker takes over from one that was killed.
# Every task may run twice.
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1  # no chunk waits in a busy worker
worker_soft_shutdown_timeout = 20.0  # seconds to finish current chunks at SIGTERM; the rest is requeued
# Threads cannot be cancelled. A task continues when the broker is lost; its redelivery is harmless.
worker_cancel_long_running_tasks_on_connection_loss = False

# Redis delivers a message again if it is not acknowledged for this long: far longer than any chunk takes, and
# longer than any countdown. The sweeper, which works from the ledger, is much faster.
VISIBILITY_TIMEOUT = 3600  # seconds
broker_transport_options = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "retry_on_timeout": True,
    "health_check_interval": 10,
}
result_backend_transport_options = {"visibility_timeout": VISIBILITY_TIMEOUT}
visibility_timeout = VISIBILITY_TIMEOUT
redis_socket_timeout = 30
redis_socket_connect_timeout = 5
redis_retry_on_timeout = True
redis_backend_health_check_interval = 10

result_expires = 24 * 3600
result_chord_expires = 3 * 24 * 3600  # a chord outlives a weekend without workers
result_chord_join_timeout = 30.0
task_ignore_result = True  # only the headers of a chord store a result

task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]

worker_send_task_events = True  # for Flower
task_send_sent_event = True
worker_hijack_root_logger = False
worker_redirect_stdouts = False
timezone = "UTC"
beat_scheduler = "django_celery_beat.schedulers:DatabaseScheduler"
beat_max_loop_interval = 5  # seconds until an edited schedule takes effect
