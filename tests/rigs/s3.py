#!/usr/bin/env python3
"""S3: moto's server with the bucket `haul`. It checks neither signatures nor their expiry."""
import urllib.request

import rig

options = rig.parser(__doc__).parse_args()
out = rig.own_stdout()

from moto.server import ThreadedMotoServer  # noqa: E402  (after stdout is ours: it greets there)

server = ThreadedMotoServer(ip_address="127.0.0.1", port=options.port or rig.free_port())
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
urllib.request.urlopen(urllib.request.Request(f"{url}/haul", method="PUT"))
rig.ready(options, out, {
    "url": url, "bucket": "haul", "region": "us-east-1", "access_key": "testing", "secret_key": "testing",
})
