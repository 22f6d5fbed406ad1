# Next.js, socket.io, Vite, Express, gunicorn and uvicorn over a release; run by
# ./runtests --frameworks, and by bench/identity.
EXTRA_DIST += \
	tests/frameworks/balancers.py \
	tests/frameworks/conftest.py \
	tests/frameworks/crowd.mjs \
	tests/frameworks/elsewhere.mjs \
	tests/frameworks/kinds.mjs \
	tests/frameworks/network.mjs \
	tests/frameworks/next/app/actions.js \
	tests/frameworks/next/app/api/version/route.js \
	tests/frameworks/next/app/dynamic/page.js \
	tests/frameworks/next/app/layout.js \
	tests/frameworks/next/app/other/page.js \
	tests/frameworks/next/app/page.js \
	tests/frameworks/next/app/style.css \
	tests/frameworks/next/next.config.mjs \
	tests/frameworks/next/parts/late.js \
	tests/frameworks/next/parts/tools.js \
	tests/frameworks/package-lock.json \
	tests/frameworks/package.json \
	tests/frameworks/pages.mjs \
	tests/frameworks/plain_page.py \
	tests/frameworks/sessions.mjs \
	tests/frameworks/site.mjs \
	tests/frameworks/stage.py \
	tests/frameworks/story.py \
	tests/frameworks/tab.mjs \
	tests/frameworks/tally.mjs \
	tests/frameworks/test_frameworks.py \
	tests/frameworks/vite/index.html \
	tests/frameworks/vite/late/part1.js \
	tests/frameworks/vite/late/part2.js \
	tests/frameworks/vite/late/part3.js \
	tests/frameworks/vite/main.js \
	tests/frameworks/vite/public/worker.js \
	tests/frameworks/vite/style.css \
	tests/frameworks/vite/vite.config.mjs
