"""Graphs, their names, and tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "graphs",
        sa.Column("id", sa.String(71), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("graphs_by_age", "graphs", ["created_at", "id"])
    op.create_table(
        "names",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column(
            "graph",
            sa.String(71),
            sa.ForeignKey("graphs.id", ondelete="CASCADE"),
            nullable=False,
        ),
    )
    op.create_index("names_by_graph", "names", ["graph"])
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables and all that is in them."""
    op.drop_table("tasks")
    op.drop_table("names")
    op.drop_table("graphs")
