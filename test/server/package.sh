#!/usr/bin/env bash
# What is installed is whole, says one version everywhere, and goes away again.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"

version=$(make -s print-CREDIT_VERSION)
script=$(make -s print-CREDIT_SCRIPT)

like "$version" '^[0-9]+\.[0-9]+\.[0-9]+$' 'the control file has a version'
is "$(sed -n 's/^  "version": "\(.*\)",$/\1/p' META.json)" "$version" \
	'META.json names that version'

objects="SELECT count(*) FROM pg_depend d JOIN pg_extension e
	ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass
	WHERE e.extname = 'credit' AND d.deptype = 'e'"
left="SELECT nspname FROM pg_namespace WHERE nspname LIKE '%credit%'
	UNION ALL SELECT proname FROM pg_proc WHERE probin LIKE '%credit%'
	UNION ALL SELECT evtname FROM pg_event_trigger
	UNION ALL SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'"

cluster_start package
like "$(psql -X -f "$script" 2>&1)" 'CREATE EXTENSION credit' \
	'the install script tells psql what to do'
is "$(cluster_value package "$left")" '' '... and does nothing'

for script in sql/upgrade/*.sql; do
	like "$(psql -X -f "$script" 2>&1)" 'ALTER EXTENSION credit UPDATE' \
		"${script##*/} tells psql what to do"
	is "$(cluster_value package "$left")" '' '... and does nothing'
done

ok 'CREATE EXTENSION' cluster_psql package -c 'CREATE EXTENSION credit'
is "$(cluster_value package "SELECT extversion FROM pg_extension WHERE extname = 'credit'")" \
	"$version" 'its version is that of the control file'
is "$(cluster_value package 'SELECT credit.version()')" "$version" \
	'and so is that of the library'
isnt "$(cluster_value package "$objects")" 0 'it has objects'
ok 'DROP EXTENSION' cluster_psql package -c 'DROP EXTENSION credit'
is "$(cluster_value package "$left")" '' 'nothing is left of it'
ok 'CREATE EXTENSION once more' cluster_psql package -c 'CREATE EXTENSION credit'
done_testing
