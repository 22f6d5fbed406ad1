# packages: what quickstart and runtests need of Debian, sourced by both.
# Asks dpkg first; nothing is done, and no network needed, where all is there.

BUILD_PACKAGES="gcc make autoconf automake pkg-config libc6-dev
	libevent-dev libssl-dev libyaml-dev libxxhash-dev libjansson-dev"

have_package()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = \
		installed ]
}

# Installs what is missing of the packages named. As another user than root it
# can only say what is.
need_packages()
{
	local package missing="" log
	for package; do
		have_package "$package" || missing="$missing $package"
	done
	if [ -z "$missing" ]; then
		return 0
	fi
	if [ "$(id -u)" != 0 ]; then
		echo "missing packages; as root:" >&2
		echo "    apt-get install --no-install-recommends$missing" >&2
		return 1
	fi
	echo "installing:$missing"
	log=$(mktemp)
	if ! apt_install $missing >"$log" 2>&1 &&
		! { apt-get -qq update && apt_install $missing; } >"$log" 2>&1
	then
		tail -n 20 "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

# Packages of servers start them at once, nginx on port 80. That isn't wanted
# here: RUNLEVEL=1 holds back init scripts, and under systemd a service that
# this brought in is stopped again. One that was there before is left alone.
apt_install()
{
	local package fresh=""
	for package; do
		case $package in
		nginx*) fresh="$fresh nginx" ;;
		haproxy) fresh="$fresh haproxy" ;;
		prometheus) fresh="$fresh prometheus" ;;
		esac
	done
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -y -q install \
		--no-install-recommends "$@" || return 1
	if [ -d /run/systemd/system ] && [ -n "$fresh" ]; then
		systemctl disable --now $fresh || true
	fi
}
