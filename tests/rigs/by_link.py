"""Arrow C++ and Polars over one Parquet file behind an address with a signature: how many rows each finds, whole and of those
that Polars chooses by ranges of the file.

    by_link.py URL COLUMN LEAST
"""

import io
import json
import sys
import urllib.request

import polars
import pyarrow.parquet


def main():
    url, column, least = sys.argv[1], sys.argv[2], int(sys.argv[3])
    whole = urllib.request.urlopen(url).read()
    chosen = polars.scan_parquet(url).filter(polars.col(column) >= least).select(polars.len()).collect().item()
    print(json.dumps({"arrow": pyarrow.parquet.read_table(io.BytesIO(whole)).num_rows, "polars": polars.read_parquet(url).height, "chosen": chosen}))


if __name__ == "__main__":
    main()
