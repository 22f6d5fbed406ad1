# Chromium, node and playwright-core; run by ./runtests.
EXTRA_DIST += \
	tests/browser/chromium.py \
	tests/browser/conftest.py \
	tests/browser/lines.mjs \
	tests/browser/package-lock.json \
	tests/browser/package.json \
	tests/browser/plain.py \
	tests/browser/tabs.mjs \
	tests/browser/test_browser.py
