"""expand: the history is append-only, by role and by trigger

Revision ID: 0002
Revises: 0001

The trigger holds even for a role with every right; the privileges are there so that a
mistake fails early. The writer may only add to the history, the reader only reads.
Roles are the cluster's; where they do not exist (one URL for all), only the triggers
guard the history, and `reconcile doctor` says so.

Personal values may be erased, by whoever says so: SET reconcile.erasing = 'on'.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

HISTORY = ("happening", "happening_dependency", "coercion_event", "receipt")

REFUSE = """
CREATE FUNCTION history_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '% is append-only (attempted %)', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$
"""

REFUSE_UNLESS_ERASING = """
CREATE FUNCTION history_refuse_unless_erasing() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('reconcile.erasing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only (attempted %)', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$
"""

TRIGGER = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {function}()
"""

GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT USAGE ON SCHEMA public TO reconcile_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public
            TO reconcile_writer;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO reconcile_writer;
        REVOKE UPDATE, DELETE ON happening, happening_dependency, coercion_event,
            coercion_value, receipt FROM reconcile_writer;
        REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT USAGE ON SCHEMA public TO reconcile_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO reconcile_reader;
    END IF;
END $$
"""

REVOKE = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reconcile_writer;
        REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reconcile_reader;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute(REFUSE)
    op.execute(REFUSE_UNLESS_ERASING)
    for table in HISTORY:
        op.execute(TRIGGER.format(table=table, function="history_refuse_change"))
    erasable = TRIGGER.format(
        table="coercion_value", function="history_refuse_unless_erasing"
    )
    op.execute(erasable)
    op.execute(GRANT)


def downgrade() -> None:
    op.execute(REVOKE)
    for table in (*HISTORY, "coercion_value"):
        op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
    op.execute("DROP FUNCTION history_refuse_unless_erasing()")
    op.execute("DROP FUNCTION history_refuse_change()")
