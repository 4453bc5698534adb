"""Django's configuration of the app."""

from django.apps import AppConfig


class RpcConfig(AppConfig):
    """The gRPC app: no models."""

    name = "apps.rpc"
    label = "rpc"
