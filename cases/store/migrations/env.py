"""What alembic runs. The connection, and its transaction, are `schema.upgrade`'s."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
