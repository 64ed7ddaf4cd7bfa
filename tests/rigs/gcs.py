#!/usr/bin/env python3
"""Google Cloud Storage: gcp-storage-emulator in memory with the bucket `haul`. It ignores preconditions."""
import rig

options = rig.parser(__doc__).parse_args()
out = rig.own_stdout()

from gcp_storage_emulator.server import create_server  # noqa: E402

port = options.port or rig.free_port()
server = create_server("127.0.0.1", port, in_memory=True, default_bucket="haul")
server.start()
rig.ready(options, out, {"url": f"http://127.0.0.1:{port}", "bucket": "haul"})
