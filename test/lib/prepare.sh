# shellcheck shell=bash
#
# prepare.sh: from a bare machine to a private PostgreSQL with credit in it.
#
# For scripts that need a real server: test/run, test/demo/run, test/bench/run.
#
#     . "$(dirname "$0")/../lib/prepare.sh"
#     . "$(dirname "$0")/../lib/cluster.sh"
#     enter_workspace test/demo/run "$@"
#     build_and_install
#     cluster_start demo
#     cluster_psql demo -c 'CREATE EXTENSION credit'
#
# enter_workspace installs the packages that are missing, copies the tree into
# a temporary workspace and starts the script again inside that copy, as an
# unprivileged user when the caller is root, because PostgreSQL refuses root.
# It returns only in that second run. When the second run ends, in whatever
# way, the first one stops every server in the workspace and deletes it.
#
# Nothing is installed into the system's PostgreSQL. Releases before 18 read
# control files from their own share folder only, but PostgreSQL finds its
# folders relative to its binary; so build_and_install mirrors the installation
# inside the workspace (binaries copied, everything else linked) and installs
# credit there. Several checks can run on one machine side by side, without
# any right on its PostgreSQL, and a copy of credit that the machine has
# installed is neither used nor touched.

CREDIT_TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=test/lib/process.sh
. "$CREDIT_TREE/test/lib/process.sh"

# What Debian 12 needs for `make check`; the second list only where the user
# has not chosen a PostgreSQL of their own through PG_CONFIG.
BUILD_PACKAGES=(gcc libc6-dev make perl libtap-parser-sourcehandler-pgtap-perl)
SERVER_PACKAGES=(postgresql-15 postgresql-server-dev-15 postgresql-15-pgtap
	postgresql-15-cron)
# More, for scripts that set it before enter_workspace.
EXTRA_PACKAGES=()

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 2
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "root or sudo is needed for: $*"
	fi
}

# --- packages ---------------------------------------------------------------

missing_packages() {
	local package
	for package in "$@"; do
		dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null |
			grep -q ' installed$' || echo "$package"
	done
}

# Installing the server package would create and start a cluster "main"; this
# note to postgresql-common says no, for as long as the installation lasts.
apt_install() {
	local note=/etc/postgresql-common/createcluster.d/credit-check.conf
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -qq
		-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
	local status=0

	as_root "${apt[@]}" update || return
	as_root mkdir -p "${note%/*}"
	echo 'create_main_cluster = false' | as_root tee "$note" >/dev/null
	as_root "${apt[@]}" install --no-install-recommends "$@" || status=$?
	as_root rm -f "$note"
	return "$status"
}

ensure_packages() {
	local wanted=("${BUILD_PACKAGES[@]}" "${EXTRA_PACKAGES[@]}") missing output

	[ -n "${PG_CONFIG:-}" ] || wanted+=("${SERVER_PACKAGES[@]}")
	command -v dpkg-query >/dev/null || return 0
	mapfile -t missing < <(missing_packages "${wanted[@]}")
	[ ${#missing[@]} = 0 ] && return
	echo "installing ${missing[*]}"
	if ! output=$(apt_install "${missing[@]}" 2>&1); then
		tail -n 30 <<<"$output" >&2
		die "could not install ${missing[*]}"
	fi
}

# --- workspace --------------------------------------------------------------

in_workspace() {
	[ -n "${CREDIT_WORK:-}" ]
}

# The user that servers run as: the caller, or for root somebody without rights.
unprivileged_user() {
	if [ "$(id -u)" != 0 ]; then
		id -un
	elif id -u postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

can_reach() {
	setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups test -w "$2"
}

# Makes CREDIT_WORK, owned by the unprivileged user. The tree is copied because
# that user may be unable to read the original, nothing may be left in it, and
# it may change while a long check runs.
make_workspace() {
	local user parent=${TMPDIR:-/tmp}

	umask 022
	user=$(unprivileged_user)
	CREDIT_WORK=$(mktemp -d "$parent/credit.XXXXXX")
	if [ "$(id -u)" = 0 ]; then
		chown "$user:" "$CREDIT_WORK"
		# A TMPDIR of root's own is closed to others.
		if ! can_reach "$user" "$CREDIT_WORK"; then
			rmdir "$CREDIT_WORK"
			CREDIT_WORK=$(mktemp -d /tmp/credit.XXXXXX)
		fi
	fi
	CREDIT_WORK=$(cd "$CREDIT_WORK" && pwd -P)
	# Socket paths are limited to 107 bytes.
	[ ${#CREDIT_WORK} -le 70 ] || die "TMPDIR is too long: $parent"

	mkdir "$CREDIT_WORK/tree" "$CREDIT_WORK/results"
	tar -C "$CREDIT_TREE" --exclude=./.git --exclude=./build \
		--exclude='*.o' --exclude='*.d' --exclude='*.bc' --exclude='*.so' \
		--exclude=./results -cf - . | tar -C "$CREDIT_WORK/tree" -xf - --no-same-owner
	[ "$(id -u)" != 0 ] || chown -R "$user:" "$CREDIT_WORK"
}

# Runs a script of the tree inside the workspace, in a session of its own, so
# that all of it can be ended at once. The caller's libpq and make settings
# are taken away: they would lead tests to other servers.
run_in_workspace() {
	local script=$1 child status=0 user command=() name
	shift

	user=$(unprivileged_user)
	if [ "$(id -u)" = 0 ]; then
		command=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --init-groups)
	fi
	command+=(env)
	for name in $(compgen -e); do
		case $name in
			PG_CONFIG) ;;
			PG* | MAKEFLAGS | MFLAGS | MAKELEVEL | MAKEOVERRIDES | LANGUAGE | LC_*)
				command+=(-u "$name") ;;
		esac
	done
	command+=(HOME="$CREDIT_WORK" USER="$user" LOGNAME="$user" LC_ALL=C.UTF-8
		CREDIT_WORK="$CREDIT_WORK" bash "$CREDIT_WORK/tree/$script" "$@")

	cd "$CREDIT_WORK/tree" || return
	setsid "${command[@]}" </dev/null &
	child=$!
	# shellcheck disable=SC2064 # the id of now is meant
	trap "kill -TERM -- -$child 2>/dev/null || :; exit 130" INT TERM HUP
	wait "$child" || status=$?
	trap - INT TERM HUP
	cd "$CREDIT_TREE" || return
	return "$status"
}

# Removes the private installation, its servers and all files, if this process
# made them. For the EXIT trap of a script that called make_workspace.
uninstall_if_ours() {
	local data

	in_workspace || return 0
	cd /
	for data in "$CREDIT_WORK"/clusters/*/data; do
		end_server_in "$data"
	done
	end_processes_in "$CREDIT_WORK"
	rm -rf "$CREDIT_WORK"
	unset CREDIT_WORK
}

# Keeps the results of the workspace as build/$1. They belong to the owner of the
# tree, also when root runs the tests.
keep_results() {
	local build=$CREDIT_TREE/build
	{
		mkdir -p "$build" && rm -rf "${build:?}/$1" &&
			cp -R "$CREDIT_WORK/results" "$build/$1" &&
			chown -R --reference="$CREDIT_TREE" "$build"
	} || echo "results could not be kept in $build" >&2
}

# KEEP_RESULTS: set by a script before enter_workspace that wants them kept.
leave_workspace() {
	[ -z "${KEEP_RESULTS:-}" ] || ! in_workspace || keep_results "$KEEP_RESULTS"
	uninstall_if_ours
}

# See the head of this file. Arguments: path of the calling script in the tree,
# and its own arguments.
enter_workspace() {
	local status=0

	in_workspace && return
	trap leave_workspace EXIT
	ensure_packages
	make_workspace
	run_in_workspace "$@" || status=$?
	exit "$status"
}

# --- build ------------------------------------------------------------------

find_pg_config() {
	if [ -n "${PG_CONFIG:-}" ]; then
		command -v "$PG_CONFIG" || die "no such program: PG_CONFIG=$PG_CONFIG"
	elif [ -x /usr/lib/postgresql/15/bin/pg_config ]; then
		# Not /usr/bin/pg_config, which answers for the newest release there.
		echo /usr/lib/postgresql/15/bin/pg_config
	else
		command -v pg_config || die "pg_config not found: set PG_CONFIG"
	fi
}

# pgTAP is SQL and PL/pgSQL only: where the chosen PostgreSQL has none, the
# one of Debian's serves.
link_pgtap() {
	local extension=$1 file
	[ ! -e "$extension/pgtap.control" ] || return 0
	for file in /usr/share/postgresql/*/extension/pgtap{.control,--[0-9].[0-9].[0-9].sql}; do
		[ ! -e "$file" ] || ln -sf "$file" "$extension/"
	done
}

# Mirrors the installation of $1 (a pg_config) below $2: the same paths with
# $2 in front, which is also where `make install DESTDIR=$2` puts things.
mirror_postgres() {
	local pg_config=$1 root=$2 bin lib share
	bin=$("$pg_config" --bindir)
	lib=$("$pg_config" --pkglibdir)
	share=$("$pg_config" --sharedir)

	mkdir -p "$root$bin" "$root$lib" "$root$share/extension"
	# Copies: a link would lead PostgreSQL back to the original's folders.
	cp -L "$bin"/* "$root$bin/"
	ln -s "$lib"/* "$root$lib/"
	find "$share" -mindepth 1 -maxdepth 1 ! -name extension \
		-exec ln -s -t "$root$share" {} +
	ln -s "$share"/extension/* "$root$share/extension/"
	rm -f "$root$lib/credit.so" "$root$share"/extension/credit{.control,--*}
	link_pgtap "$root$share/extension"
	[ "$("$root$bin/pg_config" --sharedir)" = "$root$share" ] ||
		die "this PostgreSQL cannot be moved: $bin"
}

# Builds credit from the tree $1, warnings being errors, and installs it into the
# private PostgreSQL that is made below $2. More arguments go to make. The log
# is results/build-NAME.log, NAME being that of $2.
build_into() {
	local tree=$1 mirror=$2 log=$CREDIT_WORK/results/build-${2##*/}.log
	shift 2

	mirror_postgres "$PG_CONFIG" "$mirror"
	if ! make -C "$tree" -j "$(nproc)" WERROR=1 "$@" all >"$log" 2>&1 ||
		! make -C "$tree" WERROR=1 "$@" DESTDIR="$mirror" install \
			>>"$log" 2>&1; then
		grep -v '^make' "$log" | grep -E -A 12 'error|Error|warning' | head -n 60 >&2 || :
		tail -n 15 "$log" >&2
		echo "the build failed" >&2
		return 1
	fi
}

# Programs come from the private PostgreSQL below $1 first, from now on.
use_postgres() {
	PATH=$1$("$PG_CONFIG" --bindir):$PATH
	export PATH
}

# Builds from the workspace's copy, installs and uses it.
build_and_install() {
	PG_CONFIG=$(find_pg_config)
	export PG_CONFIG
	build_into "$CREDIT_WORK/tree" "$CREDIT_WORK/postgres" || return
	use_postgres "$CREDIT_WORK/postgres"
}
