"""An OData v2 service on pyslet, in JSON (`d.results`, `__next`), with three related entity sets in SQLite, a hundred
entities a page. `/_truth` tells counts and sums.

    odata2.py [--port N] [--stay]
"""

import argparse
import decimal
import io
import json
import logging
import signal
import socketserver
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from pyslet import iso8601
from pyslet.odata2 import metadata
from pyslet.odata2.server import ReadOnlyServer
from pyslet.odata2.sqlds import SQLiteEntityContainer

METADATA = """<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"
    xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
  <edmx:DataServices m:DataServiceVersion="2.0">
    <Schema Namespace="Shop" xmlns="http://schemas.microsoft.com/ado/2006/04/edm">
      <EntityContainer Name="Container" m:IsDefaultEntityContainer="true">
        <EntitySet Name="Customers" EntityType="Shop.Customer"/>
        <EntitySet Name="Orders" EntityType="Shop.Order"/>
        <EntitySet Name="OrderLines" EntityType="Shop.OrderLine"/>
        <AssociationSet Name="Customers_Orders" Association="Shop.Customer_Order">
          <End Role="Customer" EntitySet="Customers"/><End Role="Order" EntitySet="Orders"/>
        </AssociationSet>
      </EntityContainer>
      <EntityType Name="Customer">
        <Key><PropertyRef Name="Id"/></Key>
        <Property Name="Id" Type="Edm.Int64" Nullable="false"/>
        <Property Name="Name" Type="Edm.String" MaxLength="100"/>
        <Property Name="CreditLimit" Type="Edm.Decimal" Precision="18" Scale="4"/>
        <Property Name="IsActive" Type="Edm.Boolean"/>
      </EntityType>
      <EntityType Name="Order">
        <Key><PropertyRef Name="Id"/></Key>
        <Property Name="Id" Type="Edm.Int64" Nullable="false"/>
        <Property Name="CustomerId" Type="Edm.Int64"/>
        <Property Name="Total" Type="Edm.Decimal" Precision="18" Scale="4"/>
        <Property Name="OrderedAt" Type="Edm.DateTime" Precision="0"/>
      </EntityType>
      <Association Name="Customer_Order">
        <End Role="Customer" Type="Shop.Customer" Multiplicity="0..1"/>
        <End Role="Order" Type="Shop.Order" Multiplicity="*"/>
        <ReferentialConstraint>
          <Principal Role="Customer"><PropertyRef Name="Id"/></Principal>
          <Dependent Role="Order"><PropertyRef Name="CustomerId"/></Dependent>
        </ReferentialConstraint>
      </Association>
      <EntityType Name="OrderLine">
        <Key><PropertyRef Name="Id"/></Key>
        <Property Name="Id" Type="Edm.Int64" Nullable="false"/>
        <Property Name="OrderId" Type="Edm.Int64"/>
        <Property Name="Quantity" Type="Edm.Int32"/>
        <Property Name="Amount" Type="Edm.Decimal" Precision="18" Scale="4"/>
      </EntityType>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>"""

COUNTS = {"Customers": 300, "Orders": 3_000, "OrderLines": 9_000}
WORDS = ["Müller", "O'Brien", '"quoted"', "a, b", "emoji 🚢", "Łódź"]


def scattered(number):
    return (number * 2_654_435_761) % 2**32


def row_of(entity_set, number):
    """The same row for the same number; `None` is null."""
    noise = scattered(number)
    money = decimal.Decimal(noise % 10_000_000) / 10_000
    if entity_set == "Customers":
        limit = None if noise % 7 == 0 else money
        return {"Id": number, "Name": f"{WORDS[noise % 6]} {number}", "CreditLimit": limit, "IsActive": noise % 2 == 0}
    if entity_set == "Orders":
        at = f"20{15 + noise % 10}-{1 + noise % 12:02d}-{1 + noise % 28:02d}T{noise % 24:02d}:{noise % 60:02d}:00"
        return {"Id": number, "CustomerId": 1 + noise % 300, "Total": money, "OrderedAt": at}
    return {"Id": number, "OrderId": 1 + number % 3_000, "Quantity": noise % 100, "Amount": money}


def truth():
    facts = {}
    for entity_set, count in COUNTS.items():
        sums, non_null = {}, {}
        for number in range(1, count + 1):
            for name, value in row_of(entity_set, number).items():
                non_null[name] = non_null.get(name, 0) + (value is not None)
                if isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool):
                    sums[name] = sums.get(name, decimal.Decimal(0)) + value
        texts = {name: f"{total:.4f}" for name, total in sums.items()}
        facts[entity_set] = {"count": count, "sums": texts, "non_null": non_null}
    return facts


def fill(container):
    for entity_set, count in COUNTS.items():
        with container[entity_set].open() as collection:
            for number in range(1, count + 1):
                entity = collection.new_entity()
                for name, value in row_of(entity_set, number).items():
                    if name == "OrderedAt":
                        value = iso8601.TimePoint.from_str(value)
                    entity[name].set_from_value(value)
                collection.insert_entity(entity)


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class ThreadedServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stay", action="store_true")
    args = parser.parse_args()
    logging.disable(logging.WARNING)

    document = metadata.Document()
    document.read(src=io.StringIO(METADATA))
    container = SQLiteEntityContainer(file_path=":memory:", container=document.root.DataServices["Shop.Container"])
    container.create_all_tables()
    fill({name: document.root.DataServices[f"Shop.Container.{name}"] for name in COUNTS})

    # One in-memory database has one connection.
    turn = threading.Lock()
    service = None

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/_truth":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(truth()).encode()]
        with turn:
            return [b"".join(service(environ, start_response))]

    server = make_server("127.0.0.1", args.port, application, server_class=ThreadedServer, handler_class=QuietHandler)
    url = f"http://127.0.0.1:{server.server_port}"
    service = ReadOnlyServer(service_root=url)
    service.set_model(document)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"url": url}), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if args.stay:
        signal.pause()
    sys.stdin.read()


if __name__ == "__main__":
    main()
