# Python's standard library and pytest; run by ./runtests.
EXTRA_DIST += \
	tests/release/conftest.py \
	tests/release/crowd.py \
	tests/release/spa.py \
	tests/release/test_crowd.py \
	tests/wire/conftest.py \
	tests/wire/perchtest/__init__.py \
	tests/wire/perchtest/admin.py \
	tests/wire/perchtest/backend.py \
	tests/wire/perchtest/browser.py \
	tests/wire/perchtest/client.py \
	tests/wire/perchtest/http1.py \
	tests/wire/perchtest/load.py \
	tests/wire/perchtest/nameserver.py \
	tests/wire/perchtest/network.py \
	tests/wire/perchtest/perch.py \
	tests/wire/perchtest/wait.py \
	tests/wire/test_admin.py \
	tests/wire/test_bad_backend.py \
	tests/wire/test_balance.py \
	tests/wire/test_cookie_name.py \
	tests/wire/test_error_pages.py \
	tests/wire/test_exchange.py \
	tests/wire/test_forward.py \
	tests/wire/test_limits.py \
	tests/wire/test_logs.py \
	tests/wire/test_names.py \
	tests/wire/test_process.py \
	tests/wire/test_reload.py \
	tests/wire/test_restart.py \
	tests/wire/test_routing.py \
	tests/wire/test_smuggling.py \
	tests/wire/test_sticky.py \
	tests/wire/test_streaming.py \
	tests/wire/test_timeouts.py \
	tests/wire/test_tunnel.py \
	tests/wire/test_upstream.py
