"""plain: nginx as many use it for a release, each request drawn anew."""

import os
import shutil
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
	split_clients "$request_id" $version {{
		{share}% {candidate};
		* {stable};
	}}
	server {{
		listen 127.0.0.1:{port};
		location / {{ proxy_pass http://$version; }}
	}}
}}
"""


def find_nginx():
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


def start(folder, port, stable, candidate, share):
    """share: percent of the requests that the candidate gets."""
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w", encoding="utf-8") as out:
        out.write(CONFIG.format(
            folder=folder, port=port, stable=stable, candidate=candidate,
            share=share, user="user root;" if os.getuid() == 0 else ""))
    return subprocess.Popen(
        [find_nginx(), "-c", config, "-e", os.path.join(folder, "start.log")])
