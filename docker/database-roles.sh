#!/bin/sh
# Run once by the database's image, as superuser, when the cluster is new: roles, owner
# and extension as `reconcile/db/roles.py` makes them for the embedded server.
set -eu

# postgresql://USER:PASSWORD@HOST/DATABASE -> PASSWORD
password() {
    url=$(cat "/run/secrets/$1")
    url=${url#*://*:}
    printf '%s' "${url%%@*}"
}

psql -v ON_ERROR_STOP=1 -U postgres -d reconcile \
    -v owner="$(password owner_url)" \
    -v writer="$(password writer_url)" \
    -v reader="$(password reader_url)" <<'SQL'
create role reconcile_owner login password :'owner';
create role reconcile_writer login password :'writer';
create role reconcile_reader login password :'reader';
alter role reconcile_reader set default_transaction_read_only = on;
alter database reconcile owner to reconcile_owner;
create extension if not exists btree_gist;
SQL
