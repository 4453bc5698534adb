from django.apps import AppConfig


class RpcConfig(AppConfig):
    name = "apps.rpc"
    label = "rpc"

    def ready(self) -> None:
        from prometheus_client import REGISTRY

        from apps.rpc.breakers import BreakerCollector

        REGISTRY.register(BreakerCollector())
