"""Makes the tapes of the jobs: what each API answers by its own documentation, with invented records.

    python3 jobs/tapes/make.py

The tests replay every job from its tape and compare tables and types with `<job>.expected.json`.
"""

import json
from pathlib import Path
from urllib.parse import urlencode

FOLDER = Path(__file__).parent
STARTED = "2026-11-23T05:00:00Z"


def tape(name, base, entries):
    """Entries are (path with query, answer) or (path, answer, {status, headers, post})."""
    log = []
    for path, answer, *more in entries:
        more = more[0] if more else {}
        request = {"method": "POST" if "post" in more else "GET", "url": base + path, "headers": [], "queryString": []}
        if "post" in more:
            request["postData"] = {"mimeType": "application/json", "text": json.dumps(more["post"], separators=(",", ":"))}
        headers = [{"name": key, "value": value} for key, value in more.get("headers", {}).items()]
        text = answer if isinstance(answer, str) else json.dumps(answer)
        content = {"size": len(text), "mimeType": "application/json", "text": text}
        log.append({"startedDateTime": STARTED, "time": 0, "request": request,
                    "response": {"status": more.get("status", 200), "headers": headers, "content": content}})
    archive = {"log": {"version": "1.2", "creator": {"name": "jobs/tapes/make.py", "version": "1"}, "_startedAt": STARTED, "entries": log}}
    (FOLDER / f"{name}.har").write_text(json.dumps(archive, indent=1) + "\n")


def query(**pairs):
    return "?" + urlencode({key.replace("__", "$"): value for key, value in pairs.items()})


# Exact Online: OData v2 in JSON, numbers of Edm.Int64 as text, dates as /Date()/.
exact = "https://start.exactonline.nl/api/v1"
select_me, select_division = query(__select="CurrentDivision"), query(__select="Code,Description,Currency")
entries = [
    ("/current/Me" + select_me, {"d": {"results": [{"__metadata": {"uri": "x"}, "CurrentDivision": 101}]}}),
    ("/101/system/Divisions" + select_division, {"d": {"results": [
        {"Code": 101, "Description": "Noord BV", "Currency": "EUR"}, {"Code": 102, "Description": "Zuid BV", "Currency": "EUR"}]}}),
]
for division in (101, 102):
    for entity, rows, select in (
        ("sync/CRM/Accounts", 3, "ID,Name,Country,Timestamp"),
        ("sync/SalesInvoice/SalesInvoices", 5, "ID,InvoiceNumber,InvoiceDate,AmountDC,Timestamp"),
    ):
        records = []
        for row in range(rows):
            record = {"ID": f"{division:08x}-0000-0000-0000-{row:012x}", "Timestamp": str(division * 1000 + row)}
            if "CRM" in entity:
                record |= {"Name": f"Klant {division}-{row}", "Country": ["NL", "BE", None][row % 3]}
            else:
                record |= {"InvoiceNumber": 26000 + row, "InvoiceDate": f"/Date({1767225600000 + 86400000 * row})/", "AmountDC": 100.25 + row}
            records.append(record)
        path = f"/{division}/{entity}"
        first = path + query(__filter="Timestamp gt 1L", __select=select)
        link = f"{path}?$skiptoken={division}-{entity[-3:]}"
        entries.append((first, {"d": {"results": records[:2], "__next": exact + link}}))
        entries.append((link, {"d": {"results": records[2:]}}))
tape("exact-online", exact, entries)

# Business Central: OData v4, next links, one company's path inside another's key.
central = "https://api.businesscentral.dynamics.com/v2.0"
root = "/production/api/v2.0/companies"
companies = [{"id": "aaaaaaaa-0000-0000-0000-000000000001", "name": "CRONUS NL"}, {"id": "aaaaaaaa-0000-0000-0000-000000000002", "name": "CRONUS BE"}]
entries = [(root + query(__select="id,name"), {"value": companies})]
for number, company in enumerate(companies):
    below = f"{root}({company['id']})"
    customers = [{"@odata.etag": "W/x", "id": f"{number}c{row}", "number": f"{10000 + row}", "displayName": f"Customer {row}", "balanceDue": 12.5 * row} for row in range(4)]
    entries.append((f"{below}/customers" + query(__select="id,number,displayName,balanceDue"), {"value": customers}))
    ledger = [{"id": f"{number}e{row}", "entryNumber": row, "postingDate": f"2026-10-{row + 1:02d}", "accountNumber": "8000",
               "debitAmount": round(0.1 * row, 2), "creditAmount": 0, "lastModifiedDateTime": f"2026-10-{row + 1:02d}T10:00:00.123Z"} for row in range(6)]
    select = "id,entryNumber,postingDate,accountNumber,debitAmount,creditAmount,lastModifiedDateTime"
    path = f"{below}/generalLedgerEntries"
    entries.append((path + query(__select=select, __filter="lastModifiedDateTime ge 2020-01-01T00:00:00Z"),
                    {"value": ledger[:4], "@odata.nextLink": f"{central}{path}?$skiptoken=4"}))
    entries.append((f"{path}?$skiptoken=4", {"value": ledger[4:]}))
tape("business-central", central, entries)

# GitHub: pages by the Link header, which leads to other paths; a repository without comments.
github = "https://api.github.com"
entries = []
for repository, count in (("octo/one", 5), ("octo/two", 1)):
    issues = [{"number": row + 1, "title": f"Issue {row}", "state": ["open", "closed"][row % 2], "comments": row,
               "user": {"login": "octocat", "id": 1}, "labels": [{"name": "bug"}] if row else [], "reactions": {"+1": row, "-1": 0},
               "created_at": f"2026-01-{row + 1:02d}T08:00:00Z", "updated_at": f"2026-02-{row + 1:02d}T08:00:00Z", "closed_at": None} for row in range(count)]
    first = f"/repos/{repository}/issues" + query(state="all", sort="updated", direction="asc", per_page=100, since="2020-01-01T00:00:00Z")
    if count > 3:
        link = f"/repositories/{count}/issues?page=2"
        entries.append((first, issues[:3], {"headers": {"Link": f'<{github}{link}>; rel="next", <{github}{link}>; rel="last"'}}))
        entries.append((link, issues[3:]))
    else:
        entries.append((first, issues))
    comments = f"/repos/{repository}/issues/comments" + query(sort="updated", direction="asc", per_page=100, since="2020-01-01T00:00:00Z")
    if count > 3:
        entries.append((comments, [{"id": 7, "body": "Grüße 👋", "user": {"login": "octocat"}, "reactions": {"+1": 1}, "updated_at": "2026-02-03T08:00:00Z"}]))
    else:
        entries.append((comments, {"message": "Not Found"}, {"status": 404}))
tape("github", github, entries)

# Stripe: the id of the last record leads on; a 429 on the way; windows of a month in seconds since 1970.
stripe = "https://api.stripe.com/v1"
customers = [{"id": f"cus_{row}", "object": "customer", "email": f"c{row}@example.com", "balance": -row, "created": 1788000000 + row} for row in range(4)]
entries = [
    ("/customers" + query(limit=100), {"error": {"type": "rate_limit"}}, {"status": 429, "headers": {"Retry-After": "1"}}),
    ("/customers" + query(limit=100), {"object": "list", "data": customers[:3], "has_more": True}),
    ("/customers" + query(limit=100, starting_after="cus_2"), {"object": "list", "data": customers[3:], "has_more": False}),
]
bounds = [1788220800, 1790812800, 1793491200, 1795410000]
for start, end in zip(bounds, bounds[1:]):
    charges = [{"id": f"ch_{start}_{row}", "object": "charge", "amount": 1999 + row, "currency": "eur", "paid": row % 2 == 0,
                "created": start + row, "metadata": {"order": str(row)}} for row in range(2)]
    window = {"limit": 100, "created[gte]": start, "created[lte]": end - 1}
    entries.append(("/charges?" + urlencode(window), {"object": "list", "data": charges, "has_more": False}))
tape("stripe", stripe, entries)

# HubSpot: everything as text inside `properties`; the search takes its page in the body.
hubspot = "https://api.hubapi.com"
properties = "email,firstname,lastname,lifecyclestage"
contacts = [{"id": str(row), "properties": {"email": f"p{row}@example.com", "firstname": "P", "lastname": None, "lifecyclestage": "lead"},
             "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-02T00:00:00.000Z", "archived": False} for row in range(3)]
deals = [{"id": str(row), "properties": {"dealname": f"Deal {row}", "amount": f"{row}99.50", "hs_lastmodifieddate": f"2026-03-0{row + 1}T00:00:00.000Z"},
          "createdAt": "2026-01-01T00:00:00.000Z", "archived": False} for row in range(1, 4)]
search = {"limit": 100, "properties": ["dealname", "amount", "hs_lastmodifieddate"],
          "sorts": [{"propertyName": "hs_lastmodifieddate", "direction": "ASCENDING"}],
          "filterGroups": [{"filters": [{"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": "2020-01-01T00:00:00Z"}]}]}
tape("hubspot", hubspot, [
    ("/crm/v3/objects/contacts" + query(limit=100, properties=properties), {"results": contacts[:2], "paging": {"next": {"after": "2", "link": "x"}}}),
    ("/crm/v3/objects/contacts" + query(limit=100, properties=properties, after="2"), {"results": contacts[2:]}),
    ("/crm/v3/objects/deals/search", {"total": 3, "results": deals[:2], "paging": {"next": {"after": "2"}}}, {"post": search}),
    ("/crm/v3/objects/deals/search", {"total": 3, "results": deals[2:]}, {"post": search | {"after": "2"}}),
])

# Shopify: a GraphQL connection, throttled once with status 200.
shopify = "https://example.myshopify.com/admin/api/2026-10"
text = """query($first: Int!, $after: String, $changed: String!) {
  orders(first: $first, after: $after, query: $changed, sortKey: UPDATED_AT) {
    nodes { id name updatedAt currencyCode totalPriceSet { shopMoney { amount } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
variables = {"changed": "updated_at:>='2020-01-01T00:00:00Z'", "first": 100}
orders = [{"id": f"gid://shopify/Order/{row}", "name": f"#{1000 + row}", "updatedAt": f"2026-04-0{row + 1}T09:00:00Z", "currencyCode": "EUR",
           "totalPriceSet": {"shopMoney": {"amount": f"{row}9.90"}}} for row in range(3)]
page = lambda nodes, more, end: {"data": {"orders": {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": end}}}}
tape("shopify", shopify, [
    ("/graphql.json", {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}, {"post": {"query": text, "variables": variables}}),
    ("/graphql.json", page(orders[:2], True, "c2"), {"post": {"query": text, "variables": variables}}),
    ("/graphql.json", page(orders[2:], False, "c3"), {"post": {"query": text, "variables": variables | {"after": "c2"}}}),
])
