"""plain: nginx as many use it for a release, by split_clients."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
{user}
events {{ worker_connections 1024; }}
http {{
	access_log off;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
{more}
	split_clients "{key}" $side {{
		{share}
		* stable;
	}}
{servers}
}}
"""


SERVER = """
	map $side $pool_{number} {{ candidate {candidate}; default {stable}; }}
	server {{
		listen 127.0.0.1:{port};
		server_name {host};
		location / {{
			proxy_pass http://$pool_{number};
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $upgrading;
		}}
	}}
"""
UPGRADE = """
	map $http_upgrade $upgrading { "" ""; default upgrade; }
"""


def is_open(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait(20)


def find_nginx():
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


def write_config(folder, port, hosts, share, key="$request_id", more=""):
    """hosts: name, or "_" for any -> (stable, candidate). share: percent of
    what is drawn by the key that the candidate gets. Returns the file."""
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w", encoding="utf-8") as out:
        out.write(CONFIG.format(
            folder=folder, key=key, more=UPGRADE + more,
            share="%g%% candidate;" % share if share else "",
            servers="".join(
                SERVER.format(number=number, port=port, host=host,
                              stable=stable, candidate=candidate)
                for number, (host, (stable, candidate))
                in enumerate(hosts.items())),
            user="user root;" if os.getuid() == 0 else ""))
    return config


def start(folder, *args, **kwargs):
    return subprocess.Popen(
        [find_nginx(), "-c", write_config(folder, *args, **kwargs),
         "-e", os.path.join(folder, "start.log")])
