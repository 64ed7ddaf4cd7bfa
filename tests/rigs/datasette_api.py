"""Datasette over the SQLite file of `shop.py`: `next_url` and `next` in the answer, at most a thousand rows a page. `/_truth`
is told by SQLite.

    datasette_api.py [--port N] [--stay]
"""

from datasette.app import Datasette

from serving import serve


def application_of(path):
    return Datasette([str(path)], settings={"max_returned_rows": 1_000, "suggest_facets": False}).app()


if __name__ == "__main__":
    serve(__doc__, application_of, has_booleans=False)
