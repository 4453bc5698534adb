"""The files that GraphiQL's page is made of, in the versions and with the hashes that graphene-django pins."""

from dataclasses import dataclass
from pathlib import Path

from django.templatetags.static import static
from graphene_django.views import GraphQLView as Pinned

CDN = "https://cdn.jsdelivr.net/npm"
# Filled by `make` (jobrec_site/local/graphiql.py).
FOLDER = Path(__file__).parent / "static" / "graphiql"


@dataclass(frozen=True)
class Asset:
    """One file of an npm package. `integrity` is its pinned hash, as in a script's integrity attribute."""

    package: str
    path: str
    integrity: str

    @property
    def file_name(self) -> str:
        return f"{self.package.rsplit('/', 1)[-1].partition('@')[0]}-{Path(self.path).name}"

    @property
    def is_style(self) -> bool:
        return self.path.endswith(".css")

    @property
    def url(self) -> str:
        """Served by jobrec itself where `make` fetched the file, else by a CDN."""
        if (FOLDER / self.file_name).exists():
            return static(f"graphiql/{self.file_name}")
        return f"{CDN}/{self.package}/{self.path}"


_GRAPHIQL = f"graphiql@{Pinned.graphiql_version}"
_EXPLORER = f"@graphiql/plugin-explorer@{Pinned.graphiql_plugin_explorer_version}"
_REACT = Pinned.react_version
_WS = Pinned.subscriptions_transport_ws_version

# In the order in which the page needs them.
ASSETS = (
    Asset(_GRAPHIQL, "graphiql.min.css", Pinned.graphiql_css_sri),
    Asset(_EXPLORER, "dist/style.css", Pinned.graphiql_plugin_explorer_css_sri),
    Asset(f"whatwg-fetch@{Pinned.whatwg_fetch_version}", "dist/fetch.umd.js", Pinned.whatwg_fetch_sri),
    Asset(f"react@{_REACT}", "umd/react.production.min.js", Pinned.react_sri),
    Asset(f"react-dom@{_REACT}", "umd/react-dom.production.min.js", Pinned.react_dom_sri),
    Asset(_GRAPHIQL, "graphiql.min.js", Pinned.graphiql_sri),
    Asset(f"graphql-ws@{_WS}", "umd/graphql-ws.min.js", Pinned.subscriptions_transport_ws_sri),
    Asset(_EXPLORER, "dist/graphiql-plugin-explorer.umd.js", Pinned.graphiql_plugin_explorer_sri),
)
