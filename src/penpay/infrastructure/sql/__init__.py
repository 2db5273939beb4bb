"""The relational database: schema, migrations, units of work and one module of repositories per context."""
