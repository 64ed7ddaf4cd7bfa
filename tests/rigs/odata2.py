"""OData v2: pyslet over the shop, with its own paging, JSON and Atom."""
import decimal
import io
import json
import socketserver
import threading
import uuid
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import rig
import shop

options = rig.parser(__doc__)
options.add_argument("--page-size", type=int, default=100)
options = options.parse_args()
out = rig.own_stdout()

from pyslet.iso8601 import TimePoint  # noqa: E402
from pyslet.odata2 import core, metadata  # noqa: E402
from pyslet.odata2.server import Server  # noqa: E402

# v2 has no date without time, and this service keeps moments as local times without zone, as many do.
V2_TYPES = {"Date": "DateTime", "DateTimeOffset": "DateTime"}


def edmx():
    types, sets = [], []
    for name, shop_set in shop.SHOP["sets"].items():
        properties = []
        for column in shop_set["columns"]:
            kind = column["type"]
            facets = ' Precision="19" Scale="4"' if kind == "Decimal" else ""
            nullable = "true" if column.get("nullable") else "false"
            properties.append(f'<Property Name="{column["name"]}" Type="Edm.{V2_TYPES.get(kind, kind)}"'
                              f' Nullable="{nullable}"{facets}/>')
        types.append(f'<EntityType Name="{shop_set["type"]}"><Key><PropertyRef Name="{shop_set["columns"][0]["name"]}"/>'
                     f'</Key>{"".join(properties)}</EntityType>')
        sets.append(f'<EntitySet Name="{name}" EntityType="Shop.{shop_set["type"]}"/>')
    return f"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"
 xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
<edmx:DataServices m:DataServiceVersion="2.0"><Schema Namespace="Shop"
 xmlns="http://schemas.microsoft.com/ado/2006/04/edm">{"".join(types)}
<EntityContainer Name="Container" m:IsDefaultEntityContainer="true">{"".join(sets)}</EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


def wire(kind, value):
    if value is None:
        return None
    if kind == "Decimal":
        return decimal.Decimal(shop.decimal(value))
    if kind == "Guid":
        return uuid.UUID(value)
    if kind in V2_TYPES:
        at = shop.day(value) if kind == "Date" else shop.moment(value)
        return TimePoint.from_str(at.isoformat(timespec="milliseconds"))
    return value


class Rows(core.EntityCollection):
    """A collection over a list. pyslet's own memory store reads all rows anew for each page, and pages for ever."""

    def __init__(self, shop_set=None, table=None, **kws):
        super().__init__(**kws)
        self.kinds = {column["name"]: column["type"] for column in shop_set["columns"]}
        self.key = shop_set["columns"][0]["name"]
        self.table = table

    def entity(self, row):
        entity = self.new_entity()
        for name, value in row.items():
            entity[name].set_from_value(wire(self.kinds[name], value))
        entity.exists = True
        return entity

    def itervalues(self):
        return self.order_entities(self.expand_entities(self.filter_entities(map(self.entity, self.table))))

    def iterpage(self, set_next=False):
        is_plain = self.filter is None and self.orderby is None
        found = self.table if is_plain else list(self.itervalues())
        start = int(self.skiptoken) if self.skiptoken else (self.skip or 0)
        wanted = len(found) if self.top is None else min(start + self.top, len(found))
        end = min(wanted, start + self.topmax)
        # The token forgets $top as pyslet's stores do: a client that wants ten rows must count them itself.
        self.nextSkiptoken = str(end) if end < wanted else None
        for item in found[start:end]:
            entity = self.entity(item) if is_plain else item
            if is_plain:
                entity.expand(self.expand, self.select)
            yield entity

    def __len__(self):
        return len(self.table) if self.filter is None else sum(1 for _ in self.itervalues())

    def __getitem__(self, key):
        for row in self.table:
            if row[self.key] == key:
                return self.entity(row)
        raise KeyError(key)


port = options.port or rig.free_port()
url = f"http://127.0.0.1:{port}"
document = metadata.Document()
document.read_from_stream(io.BytesIO(edmx().encode("utf-8")))
service = Server(f"{url}/")
service.set_model(document)
service.topmax = options.page_size
container = document.root.DataServices["Shop.Container"]
for set_name, definition in shop.SHOP["sets"].items():
    container[set_name].bind(Rows, shop_set=definition, table=shop.rows(set_name, "v2"))


def app(environ, start_response):
    if environ["PATH_INFO"] == "/_truth":
        body = json.dumps(shop.truth("v2", V2_TYPES)).encode("utf-8")
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
    return service(environ, start_response)


class Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


httpd = make_server("127.0.0.1", port, app, server_class=Threaded, handler_class=Quiet)
threading.Thread(target=httpd.serve_forever, daemon=True).start()
rig.ready(options, out, {
    "url": url, "service": f"{url}/", "metadata": f"{url}/$metadata", "truth": f"{url}/_truth",
    "page_size": options.page_size, "sets": list(shop.SHOP["sets"]),
})
