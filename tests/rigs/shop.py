"""Three related tables in an SQLite file (2,000, 20,000 and 60,000 rows), made by SQL, and what is true of them, told by
SQLite: counts, exact sums, values that are not null, and prints of all that is no number."""

import hashlib
import sqlite3
from contextlib import closing

SCHEMA = """
create table customer (
    id integer primary key, name text not null, remark text, credit_limit numeric, is_active bool not null, created_on date not null
);
create table purchase (
    id integer primary key, customer_id integer not null references customer(id), number text not null, total numeric not null,
    ordered_at datetime not null, due_on date
);
create table line (
    id integer primary key, purchase_id integer not null references purchase(id), product text not null, quantity integer,
    amount numeric not null
);
"""

# Numbers from one on, each with a noise of its own.
MADE = """with recursive made(n, h) as (
    select 1, 2654435761 union all select n + 1, ((n + 1) * 2654435761) % 4294967296 from made where n < {count}
)"""

FILL = {
    "customer": (
        2_000,
        """select n, word(h) || ' ' || n, case when h % 3 > 0 then word(h / 16) end,
        case when h % 7 > 0 then (h % 10000000) / 10000.0 end, h % 2, date('2015-01-01', (h % 4000) || ' days')""",
    ),
    "purchase": (
        20_000,
        """select n, 1 + h % 2000, printf('SO-%07d', n), (h % 20000000 - 5000000) / 10000.0,
        strftime('%Y-%m-%d %H:%M:%S', 1420070400 + h % 300000000, 'unixepoch'),
        case when h % 5 > 0 then date('2015-02-01', (h % 4000) || ' days') end""",
    ),
    "line": (
        60_000,
        "select n, 1 + n % 20000, word(h), case when h % 13 > 0 then h % 100 end, (h % 10000000) / 10000.0",
    ),
}

WORDS = ["Müller", "O'Brien", '"quoted"', "a, b", "line\nbreak", "emoji 🚢", "", "Łódź", "semi;colon", "tab\tbed"]

NUMERIC = {"customer": ["id", "credit_limit"], "purchase": ["id", "customer_id", "total"], "line": ["id", "purchase_id", "quantity", "amount"]}
TEXTUAL = {"customer": ["name", "remark", "created_on"], "purchase": ["number", "due_on"], "line": ["product"]}
# A boolean is a number in SQLite, but `true` or `false` for whoever knows the column.
FLAGS = {"customer": ["is_active"]}
MOMENTS = {"purchase": ["ordered_at"]}


def make(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("word", 1, lambda number: WORDS[number % len(WORDS)], deterministic=True)
        connection.executescript(SCHEMA)
        for table, (count, select) in FILL.items():
            connection.execute(f"insert into {table} {MADE.format(count=count)} {select} from made")
        connection.commit()


def printed(row, text):
    return None if text is None else int(hashlib.md5(f"{row}:{text}".encode()).hexdigest()[:8], 16)


def plain(sum_of_ten_thousandths):
    sign, whole = ("-" if sum_of_ten_thousandths < 0 else ""), abs(sum_of_ten_thousandths)
    return f"{sign}{whole // 10_000}.{whole % 10_000:04d}"


def truth(path, has_booleans):
    """Per table; `has_booleans`: whether the API tells flags as such, or as the numbers that SQLite holds."""
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("printed", 2, printed, deterministic=True)
        return {table: facts_of(connection, table, has_booleans) for table in FILL}


def facts_of(connection, table, has_booleans):
    def ask(wanted):
        return connection.execute(f"select {wanted} from {table}").fetchone()

    flags, moments = FLAGS.get(table, []), MOMENTS.get(table, [])
    numbers = NUMERIC[table] + ([] if has_booleans else flags)
    texts = {name: name for name in TEXTUAL[table]}
    if has_booleans:
        texts |= {name: f"iif({name}, 'true', 'false')" for name in flags}
    count, distinct = ask("count(*), count(distinct id)")
    return {
        "count": count,
        "distinct_ids": distinct,
        "non_null": {name: ask(f"count({name})")[0] for name in [*NUMERIC[table], *TEXTUAL[table], *flags, *moments]},
        # A sum of doubles would drift; whole numbers do not.
        "sums": {name: plain(ask(f"sum(cast(round({name} * 10000) as integer))")[0]) for name in numbers},
        "texts": {name: str(ask(f"sum(printed(id, {text}))")[0]) for name, text in texts.items()},
        "instants": {name: str(ask(f"sum(printed(id, strftime('%s', {name}) || '000000'))")[0]) for name in moments},
    }
