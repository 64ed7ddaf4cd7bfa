"""nginx with a configuration of its own: static files of one folder on a free loopback port, in the foreground, ended by
its process id. As close to nothing as a real server gets, so that the client is what is measured."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

NGINX = "/usr/sbin/nginx"
CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {prefix}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  types {{ application/json json; }}
  gzip off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_timeout 600;
  keepalive_requests 100000000;
  client_body_temp_path {prefix};
  proxy_temp_path {prefix};
  fastcgi_temp_path {prefix};
  uwsgi_temp_path {prefix};
  scgi_temp_path {prefix};
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(root, prefix):
    """Serves the files below `root`; its own files are below `prefix`. Gives the base URL."""
    if not os.path.exists(NGINX):
        sys.exit("nginx is missing: tests/bench/install")
    port = free_port()
    prefix.mkdir(parents=True, exist_ok=True)
    config = prefix / "nginx.conf"
    # As root its workers would become another user, who may not read our folder.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(CONFIG.format(user=user, prefix=prefix, root=root, port=port))
    server = subprocess.Popen([NGINX, "-p", str(prefix), "-c", str(config), "-e", "stderr"])
    try:
        wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def wait_for(port, server):
    for _ in range(500):
        if server.poll() is not None:
            sys.exit("nginx ended at once; its message is above")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    sys.exit("nginx does not listen")
